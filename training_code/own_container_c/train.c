/* Trains on the CSV files of the channel `train`: a digit a line, its label and 64 pixels; no header. */
#define _GNU_SOURCE
#include "softmax.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HYPERPARAMETERS "/opt/ml/input/config/hyperparameters.json"
#define CHANNEL "/opt/ml/input/data/train"
#define MODEL "/opt/ml/model/softmax" /* what lies in this folder at the end becomes model.tar.gz */
#define FAILURE "/opt/ml/output/failure"  /* becomes the job's FailureReason */

/* The knobs. pipeline.yaml's train.hyperparameters override them. */
#define EPOCHS 30
#define LEARNING_RATE 0.05
#define VALIDATED 5 /* each fifth digit isn't learned from: the log says how good the model is at those */

typedef struct {
    Digit *digits;
    size_t count;
} Digits;

static volatile sig_atomic_t stopped;

static void on_sigterm(int number) {
    (void)number;
    stopped = 1; /* the job shall stop: 120 seconds later comes SIGKILL */
}

/* Ends the job: the reason goes to the log and to the file that SageMaker reads it from. */
static _Noreturn void fail(const char *format, ...) {
    char reason[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(reason, sizeof reason, format, values);
    va_end(values);
    fprintf(stderr, "%s\n", reason);
    FILE *file = fopen(FAILURE, "w");
    if (file != NULL) {
        fputs(reason, file);
        fclose(file);
    }
    exit(1);
}

/* A hyperparameter, whose values SageMaker writes as texts: {"epochs": "30"}. */
static double hyperparameter(const char *name, double otherwise) {
    char text[65536], key[64], *end;
    FILE *file = fopen(HYPERPARAMETERS, "r");
    if (file == NULL)
        return otherwise;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *found = strstr(text, key);
    if (found == NULL)
        return otherwise;
    found += strlen(key) + strspn(found + strlen(key), ": \t\n\"");
    double value = strtod(found, &end);
    if (end == found || value <= 0)
        fail("the hyperparameter %s must be a number above 0", name);
    return value;
}

static void read_file(Digits *all, const char *name) {
    char path[512], *line = NULL;
    size_t size = 0, number = 0;
    snprintf(path, sizeof path, "%s/%s", CHANNEL, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail("%s: %s", name, strerror(errno));
    while (getline(&line, &size, file) >= 0) {
        double numbers[1 + WIDTH];
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (*line == '\0')
            continue;
        const char *wrong = read_numbers(line, numbers, 1 + WIDTH);
        if (wrong != NULL)
            fail("%s:%zu: %s", name, number, wrong);
        if (numbers[0] < 0 || numbers[0] >= CLASSES || numbers[0] != (int)numbers[0])
            fail("%s:%zu: the label must be a digit", name, number);
        all->digits = realloc(all->digits, (all->count + 1) * sizeof *all->digits);
        if (all->digits == NULL)
            fail("no memory for %zu digits", all->count + 1);
        Digit *digit = &all->digits[all->count++];
        digit->label = (int)numbers[0];
        memcpy(digit->pixels, numbers + 1, sizeof digit->pixels);
    }
    free(line);
    fclose(file);
}

static int is_csv(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".csv") == 0;
}

static Digits read_channel(void) {
    struct dirent **names;
    Digits all = {NULL, 0};
    int found = scandir(CHANNEL, &names, is_csv, alphasort);
    if (found < 0)
        fail("%s: %s", CHANNEL, strerror(errno));
    for (int index = 0; index < found; index++) {
        read_file(&all, names[index]->d_name);
        free(names[index]);
    }
    free(names);
    if (all.count < VALIDATED)
        fail("%zu digits in the CSV files of %s; needed: %d", all.count, CHANNEL, VALIDATED);
    return all;
}

/* The digits in random order (the same each time), so that those to validate are like those to learn from. */
static void shuffle(Digits all) {
    srand(0);
    for (size_t index = all.count - 1; index > 0; index--) {
        size_t other = (size_t)rand() % (index + 1);
        Digit kept = all.digits[index];
        all.digits[index] = all.digits[other];
        all.digits[other] = kept;
    }
}

static double accuracy(const Model *model, const Digit *digits, size_t count) {
    double found[CLASSES];
    size_t right = 0;
    for (size_t index = 0; index < count; index++)
        right += predict(model, digits[index].pixels, found) == digits[index].label;
    return (double)right / (double)count;
}

int train(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line goes to the log when it is whole */
    signal(SIGTERM, on_sigterm);
    int epochs = (int)hyperparameter("epochs", EPOCHS);
    double rate = hyperparameter("learning-rate", LEARNING_RATE);
    Digits all = read_channel();
    shuffle(all);
    size_t validated = all.count / VALIDATED, learned = all.count - validated;
    printf("training on %zu digits, %zu to validate\n", learned, validated);
    Model model = {0};
    while (model.epoch < epochs && !stopped) {
        double loss = one_epoch(&model, all.digits, learned, rate);
        /* pipeline.yaml's train.metrics read this line */
        printf("epoch=%d train:loss=%.4f validation:accuracy=%.4f\n", model.epoch, loss,
               accuracy(&model, all.digits + learned, validated));
    }
    if (stopped)
        printf("asked to stop: the model is that of epoch %d\n", model.epoch);
    if (save(&model, MODEL) != 0)
        fail("%s: %s", MODEL, strerror(errno));
    free(all.digits);
    return 0;
}
