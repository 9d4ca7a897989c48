#include "softmax.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BRIGHTEST 16.0

int predict(const Model *model, const double *pixels, double *found) {
    double highest = -INFINITY, sum = 0;
    int likeliest = 0;
    for (int class = 0; class < CLASSES; class++) {
        double score = model->weights[class][WIDTH];
        for (int pixel = 0; pixel < WIDTH; pixel++)
            score += model->weights[class][pixel] * pixels[pixel] / BRIGHTEST;
        found[class] = score;
        if (score > highest) {
            highest = score;
            likeliest = class;
        }
    }
    for (int class = 0; class < CLASSES; class++)
        sum += found[class] = exp(found[class] - highest);
    for (int class = 0; class < CLASSES; class++)
        found[class] /= sum;
    return likeliest;
}

double one_epoch(Model *model, const Digit *digits, size_t count, double rate) {
    double found[CLASSES], loss = 0;
    for (size_t index = 0; index < count; index++) {
        const Digit *digit = &digits[index];
        predict(model, digit->pixels, found);
        loss -= log(fmax(found[digit->label], 1e-12));
        for (int class = 0; class < CLASSES; class++) {
            double step = rate * (found[class] - (class == digit->label));
            for (int pixel = 0; pixel < WIDTH; pixel++)
                model->weights[class][pixel] -= step * digit->pixels[pixel] / BRIGHTEST;
            model->weights[class][WIDTH] -= step;
        }
    }
    model->epoch++;
    return loss / (double)count;
}

const char *read_numbers(const char *line, double *numbers, int count) {
    static _Thread_local char wrong[120];
    for (int index = 0; index < count; index++) {
        char *end;
        numbers[index] = strtod(line, &end);
        if (end == line || !isfinite(numbers[index])) {
            snprintf(wrong, sizeof wrong, "number %d of %d isn't one", index + 1, count);
            return wrong;
        }
        while (*end == ' ' || *end == '\r')
            end++;
        if (*end != (index + 1 < count ? ',' : '\0')) {
            snprintf(wrong, sizeof wrong, "needed: %d numbers, with a comma between them", count);
            return wrong;
        }
        line = end + 1;
    }
    return NULL;
}

int save(const Model *model, const char *path) {
    char new[256];
    snprintf(new, sizeof new, "%s.new", path);
    FILE *file = fopen(new, "wb");
    if (file == NULL)
        return -1;
    size_t written = fwrite(model, sizeof *model, 1, file);
    if (fclose(file) != 0 || written != 1)
        return -1;
    return rename(new, path);
}

int load(Model *model, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    size_t read = fread(model, sizeof *model, 1, file);
    fclose(file);
    if (read != 1)
        errno = EINVAL;
    return read == 1 ? 0 : -1;
}
