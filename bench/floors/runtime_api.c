/* An ideal Runtime API server: hands the same event to whoever asks, takes every answer, and does nothing else.
 *
 * Usage: runtime_api PORT-FILE SECONDS. Serves one runtime after another on 127.0.0.1; prints how many answers it took a
 * second, measured from the first one, and ends. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 16
#define ROOM 65536

static const char NEXT[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 0b7e-1\r\n"
    "Lambda-Runtime-Deadline-Ms: 99999999999999\r\nLambda-Runtime-Trace-Id: Root=1-0-0\r\n"
    "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:f\r\n"
    "Content-Length: 18\r\n\r\n{\"hello\": \"world\"}";
static const char TAKEN[] = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n";

struct client {
    int fd;
    size_t used;
    char data[ROOM + 1];
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Answers what is there whole; how many of them were results. */
static long serve(struct client *c) {
    long taken = 0;
    for (;;) {
        c->data[c->used] = 0;
        char *end = strstr(c->data, "\r\n\r\n");
        if (!end) return taken;
        size_t body = 0;
        for (char *line = strstr(c->data, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
            if (!strncasecmp(line + 2, "content-length:", 15)) body = strtoul(line + 17, NULL, 10);
        size_t whole = (size_t)(end + 4 - c->data) + body;
        if (c->used < whole) return taken;
        int is_next = c->data[0] == 'G';
        const char *answer = is_next ? NEXT : TAKEN;
        size_t length = is_next ? sizeof NEXT - 1 : sizeof TAKEN - 1;
        if (write(c->fd, answer, length) != (ssize_t)length) return taken;
        taken += !is_next;
        memmove(c->data, c->data + whole, c->used - whole);
        c->used -= whole;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    if (bind(listener, (struct sockaddr *)&place, size) || listen(listener, 16)) return 1;
    getsockname(listener, (struct sockaddr *)&place, &size);
    FILE *file = fopen(argv[1], "w");
    if (!file) return 1;
    fprintf(file, "%d\n", ntohs(place.sin_port));
    fclose(file);
    static struct client clients[CLIENTS];
    int count = 0;
    long taken = 0, counted = 0;
    double seconds = atof(argv[2]), started = 0;
    for (;;) {
        struct pollfd watched[CLIENTS + 1] = {{listener, POLLIN, 0}};
        for (int i = 0; i < count; i++) watched[i + 1] = (struct pollfd){clients[i].fd, POLLIN, 0};
        if (poll(watched, count + 1, 10000) <= 0) return 1;
        int known = count;
        if (watched[0].revents && count < CLIENTS) {
            clients[count].fd = accept(listener, NULL, NULL);
            clients[count].used = 0;
            setsockopt(clients[count++].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        }
        for (int i = 0; i < known; i++) {
            struct client *c = &clients[i];
            if (!watched[i + 1].revents) continue;
            ssize_t got = read(c->fd, c->data + c->used, ROOM - c->used);
            if (got <= 0) {
                close(c->fd);
                clients[i] = clients[--count];
                break; /* the others at the next turn */
            }
            c->used += (size_t)got;
            taken += serve(c);
        }
        if (!started && taken > 200) started = now(), counted = taken; /* it is warm by now */
        if (started && now() - started >= seconds) {
            printf("%f\n", (taken - counted) / (now() - started));
            return 0;
        }
    }
}
