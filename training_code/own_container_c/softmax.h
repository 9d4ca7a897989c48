/* Softmax regression: what training and serving know of the model. */
#ifndef SOFTMAX_H
#define SOFTMAX_H

#include <stdio.h>

#define CLASSES 10 /* the digits 0 to 9 */
#define WIDTH 64   /* the pixels of one, from 0 to 16 */

/* A row of weights for each class, its intercept last. It is written to the model's file as it lies in memory. */
typedef struct {
    double weights[CLASSES][WIDTH + 1];
    int epoch;
} Model;

/* One row of a CSV file: its label, then its pixels. */
typedef struct {
    int label;
    double pixels[WIDTH];
} Digit;

/* The likeliest class; `found` gets the probability of each. */
int predict(const Model *model, const double *pixels, double *found);

/* Learns from all digits once, in the order in which they lie; the mean loss. */
double one_epoch(Model *model, const Digit *digits, size_t count, double rate);

/* Reads `count` numbers, separated by commas, up to the end of the line. NULL, or a sentence on what is wrong. */
const char *read_numbers(const char *line, double *numbers, int count);

/* 0, or -1 with errno. A reader finds the old file or the new one, never half of it. */
int save(const Model *model, const char *path);
int load(Model *model, const char *path);

/* The two programs of the image; exit codes. */
int train(void);
int serve(void);

#endif
