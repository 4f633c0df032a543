/* A server of recorded answers, so light that it is never the limit.
 *
 *   bench_aws_server DIRECTORY
 *
 * Prints its port, and answers every request with the bytes of DIRECTORY/Operation, headers included; the operation is
 * what X-Amz-Target ends with, else the form's Action, else "ListBuckets".  A thread a connection; ends with its
 * standard input. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_SIZE 65536
#define ANSWERS 32

struct answer {
  char name[128];
  char *bytes;
  size_t length;
};

static const char *directory;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct answer answers[ANSWERS];
static size_t answer_count;

static void die(const char *what) {
  fprintf(stderr, "bench_aws_server: %s\n", what);
  exit(1);
}

static struct answer *load(const char *name) {
  char path[512];
  if (answer_count == ANSWERS) die("too many operations");
  struct answer *answer = &answers[answer_count++];
  snprintf(answer->name, sizeof answer->name, "%s", name);
  snprintf(path, sizeof path, "%s/%s", directory, answer->name);
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) die(path);
  answer->length = (size_t)ftell(file);
  rewind(file);
  answer->bytes = malloc(answer->length + 1);
  if (!answer->bytes || fread(answer->bytes, 1, answer->length, file) != answer->length) die(path);
  fclose(file);
  return answer;
}

static const struct answer *answer_for(const char *name) {
  pthread_mutex_lock(&lock);
  struct answer *found = NULL;
  for (size_t i = 0; i < answer_count && !found; i++)
    if (strcmp(answers[i].name, name) == 0) found = &answers[i];
  if (!found) found = load(name);
  pthread_mutex_unlock(&lock);
  return found;
}

/* Copies the word at `text`; what ends it is no part of a name. */
static void take_word(const char *text, char name[128]) {
  size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
  snprintf(name, 128, "%.*s", (int)length, text);
}

static void find_operation(const char *request, char name[128]) {
  const char *target = strcasestr(request, "\r\nX-Amz-Target:"), *action = strstr(request, "Action=");
  const char *dot = target ? strchr(target, '.') : NULL;
  take_word(dot ? dot + 1 : action ? action + 7 : "ListBuckets", name);
}

/* Headers and body of one request, NUL-terminated; 0, or -1 when the client has closed. */
static int read_request(int connection, char *text) {
  size_t length = 0;
  while (length < REQUEST_SIZE - 1) {
    ssize_t got = read(connection, text + length, REQUEST_SIZE - 1 - length);
    if (got <= 0) return -1;
    length += (size_t)got;
    text[length] = '\0';
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) continue;
    const char *field = strcasestr(text, "\r\nContent-Length:");
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    if (length >= (size_t)(end + 4 - text) + body) return 0;
  }
  return -1;
}

static void *serve(void *argument) {
  int connection = (int)(intptr_t)argument, yes = 1;
  char *request = malloc(REQUEST_SIZE), name[128];
  (void)setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  while (request && read_request(connection, request) == 0) {
    find_operation(request, name);
    const struct answer *answer = answer_for(name);
    for (size_t at = 0; at < answer->length;) {
      ssize_t sent = send(connection, answer->bytes + at, answer->length - at, MSG_NOSIGNAL);
      if (sent <= 0) break;
      at += (size_t)sent;
    }
  }
  free(request);
  close(connection);
  return NULL;
}

static void *accept_all(void *argument) {
  int listener = (int)(intptr_t)argument, connection;
  pthread_t thread;
  while ((connection = accept(listener, NULL, NULL)) >= 0) {
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection) != 0) die("no thread");
    pthread_detach(thread);
  }
  return NULL;
}

int main(int count, char **arguments) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  pthread_t thread;
  if (count != 2) die("bench_aws_server DIRECTORY");
  directory = arguments[1];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
      pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener) != 0)
    die("cannot listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  while (getchar() != EOF) continue;
  return 0;
}
