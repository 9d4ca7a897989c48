/* Answers SageMaker's requests on port 8080: GET /ping, and POST /invocations with 64 pixels a line. */
#define _GNU_SOURCE
#include "softmax.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MODEL "/opt/ml/model/softmax" /* model.tar.gz, unpacked */
#define PORT 8080
#define LARGEST (25u << 20) /* bytes of a request's body */
#define HEAD 65536          /* bytes of its head */
#define KEPT 300            /* seconds that a silent connection, and its thread, is kept */

/* What a request asks for, as far as it matters here. */
typedef struct {
    char method[8], path[64], content_type[64];
    size_t length;
    int has_length, continues, closes;
} Request;

static Model model;

static void write_all(FILE *to, int status, const char *type, const char *body, size_t length) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},          {400, "Bad Request"},         {404, "Not Found"},
                   {411, "Length Required"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"}};
    const char *reason = "";
    for (size_t index = 0; index < sizeof reasons / sizeof *reasons; index++)
        if (reasons[index].status == status)
            reason = reasons[index].reason;
    fprintf(to, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status, reason, type, length);
    fwrite(body, 1, length, to);
    fflush(to);
    if (status != 200)
        fprintf(stderr, "%d %.*s\n", status, (int)length, body);
}

static void refuse(FILE *to, int status, const char *sentence) {
    write_all(to, status, "text/plain", sentence, strlen(sentence));
}

/* Reads a request's head. 1; 0 where the connection has ended or says what is no HTTP. */
static int read_head(FILE *from, Request *request) {
    char line[HEAD], version[16];
    memset(request, 0, sizeof *request);
    if (fgets(line, sizeof line, from) == NULL ||
        sscanf(line, "%7s %63s %15s", request->method, request->path, version) != 3)
        return 0;
    request->closes = strcmp(version, "HTTP/1.0") == 0;
    while (fgets(line, sizeof line, from) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line == '\0')
            return 1;
        char *value = strchr(line, ':');
        if (value == NULL)
            return 0;
        *value++ = '\0';
        value += strspn(value, " \t");
        if (strcasecmp(line, "Content-Length") == 0) {
            request->length = strtoull(value, NULL, 10);
            request->has_length = 1;
        } else if (strcasecmp(line, "Content-Type") == 0) {
            snprintf(request->content_type, sizeof request->content_type, "%s", value);
        } else if (strcasecmp(line, "Expect") == 0) {
            request->continues = 1;
        } else if (strcasecmp(line, "Connection") == 0) {
            request->closes = strcasecmp(value, "close") == 0;
        }
    }
    return 0;
}

/* The answer to a body of CSV: a digit a line. */
static void invoke(FILE *to, char *body) {
    char wrong[200], *answers = malloc(strlen(body) + 1), *place = NULL;
    double pixels[WIDTH], found[CLASSES];
    size_t answered = 0, number = 0;
    if (answers == NULL)
        return refuse(to, 413, "the request is too large");
    for (char *line = body, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        number++;
        if (*line == '\0' || strcmp(line, "\r") == 0)
            continue;
        const char *why = read_numbers(line, pixels, WIDTH);
        if (why != NULL) {
            snprintf(wrong, sizeof wrong, "line %zu: %s", number, why);
            refuse(to, 400, wrong);
            free(answers);
            return;
        }
        place = answers + answered;
        *place = (char)('0' + predict(&model, pixels, found));
        place[1] = '\n';
        answered += 2;
    }
    write_all(to, 200, "text/csv", answers, answered);
    free(answers);
}

/* Answers one request. 1 where the connection can take another. */
static int answer(FILE *from, FILE *to) {
    Request request;
    if (!read_head(from, &request))
        return 0;
    if (strcmp(request.method, "GET") == 0) {
        if (strcmp(request.path, "/ping") == 0)
            write_all(to, 200, "text/plain", "", 0);
        else
            refuse(to, 404, "ask /ping or /invocations");
        return !request.closes;
    }
    if (!request.has_length || request.length > LARGEST) {
        refuse(to, request.has_length ? 413 : 411, "send Content-Length, of at most 25 MiB");
        return 0;
    }
    if (request.continues)
        fputs("HTTP/1.1 100 Continue\r\n\r\n", to), fflush(to);
    char *body = malloc(request.length + 1);
    if (body == NULL || fread(body, 1, request.length, from) != request.length) {
        free(body);
        return 0;
    }
    body[request.length] = '\0';
    if (strcmp(request.path, "/invocations") != 0)
        refuse(to, 404, "ask /ping or /invocations");
    else if (strncasecmp(request.content_type, "text/csv", 8) != 0)
        refuse(to, 415, "send text/csv: 64 pixels a line");
    else
        invoke(to, body);
    free(body);
    return !request.closes;
}

static void *connection(void *accepted) {
    int descriptor = (int)(long)accepted, one = 1;
    struct timeval kept = {.tv_sec = KEPT};
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &kept, sizeof kept);
    FILE *from = fdopen(descriptor, "r"), *to = fdopen(dup(descriptor), "w");
    while (from != NULL && to != NULL && answer(from, to))
        continue;
    if (from != NULL)
        fclose(from);
    if (to != NULL)
        fclose(to);
    return NULL;
}

static void on_sigterm(int number) {
    (void)number;
    _exit(0); /* the instance goes */
}

static int listening(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = INADDR_ANY};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 || listen(descriptor, 128) != 0)
        return -1;
    return descriptor;
}

int serve(void) {
    signal(SIGTERM, on_sigterm);
    signal(SIGPIPE, SIG_IGN); /* a caller that has gone ends its connection alone */
    int server = load(&model, MODEL) == 0 ? listening() : -1;
    if (server < 0) {
        fprintf(stderr, "%s, port %d: %s\n", MODEL, PORT, strerror(errno));
        return 1;
    }
    fprintf(stderr, "serving digits on port %d, after %d epochs\n", PORT, model.epoch);
    for (;;) {
        pthread_t thread;
        int accepted = accept(server, NULL, NULL);
        if (accepted < 0)
            continue;
        if (pthread_create(&thread, NULL, connection, (void *)(long)accepted) == 0)
            pthread_detach(thread);
        else
            close(accepted);
    }
}
