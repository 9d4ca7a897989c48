/* SageMaker starts `docker run IMAGE train` and `docker run IMAGE serve`; the image's ENTRYPOINT is this program. */
#include "softmax.h"

#include <string.h>

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "train") == 0)
        return train();
    if (count == 2 && strcmp(arguments[1], "serve") == 0)
        return serve();
    fprintf(stderr, "usage: %s train|serve\n", arguments[0]);
    return 2;
}
