/* The real transport against a small server of the test's own, on the loopback interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "aws/fake.h"

#define RESPONSE_LIMIT 100000

/* Serves its connections one after another: reads a request, sends `reply`; "hang" never sends, "close" just closes. */
struct server {
  const char *reply;
  _Atomic int keep_alive; /* serve the connection until the client closes it */
  int listener, port;
  pthread_t thread;
  _Atomic int connections, requests;
  char request[65536]; /* the last one; read it after server_stop */
};

/* Reads headers and as much body as they say; bytes, or 0 when the client has closed. */
static size_t read_request(int connection, char *text, size_t size) {
  size_t length = 0, wanted = 0;
  while (length < size - 1) {
    ssize_t got = read(connection, text + length, size - 1 - length);
    if (got <= 0) return 0;
    length += (size_t)got;
    text[length] = '\0';
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) continue;
    const char *field = strcasestr(text, "\r\nContent-Length:");
    wanted = (size_t)(end + 4 - text) + (field && field < end ? strtoul(field + 17, NULL, 10) : 0);
    if (length >= wanted) return length;
  }
  return length;
}

static void send_all(int connection, const char *text) {
  size_t length = strlen(text);
  while (length > 0) {
    ssize_t sent = send(connection, text, length, MSG_NOSIGNAL);
    if (sent <= 0) return;
    text += sent;
    length -= (size_t)sent;
  }
}

static void serve_connection(struct server *server, int connection) {
  do {
    if (read_request(connection, server->request, sizeof server->request) == 0) return;
    atomic_fetch_add(&server->requests, 1);
    if (strcmp(server->reply, "hang") == 0) {
      char byte;
      while (read(connection, &byte, 1) > 0) continue; /* until the client has had enough */
    } else if (strcmp(server->reply, "close") != 0) {
      send_all(connection, server->reply);
    }
  } while (server->keep_alive);
}

static void *serve(void *argument) {
  struct server *server = argument;
  int connection;
  while ((connection = accept(server->listener, NULL, NULL)) >= 0) {
    atomic_fetch_add(&server->connections, 1);
    serve_connection(server, connection);
    close(connection);
  }
  return NULL;
}

static void server_start(struct server *server, const char *reply) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  memset(server, 0, sizeof *server);
  server->reply = reply;
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(server->listener >= 0);
  assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
  assert_int_equal(listen(server->listener, 16), 0);
  server->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server) {
  aws_thread_end(); /* closes the client's end of what is still open */
  shutdown(server->listener, SHUT_RDWR);
  pthread_join(server->thread, NULL);
  close(server->listener);
}

/* ---- one exchange ---- */

struct exchange {
  struct aws_curl *curl;
  struct aws_transport transport;
  struct aws_http_response response;
  struct error error;
};

static void exchange_open(struct exchange *exchange) {
  memset(exchange, 0, sizeof *exchange);
  exchange->curl = aws_curl_open(RESPONSE_LIMIT, &exchange->transport, NULL);
  assert_non_null(exchange->curl);
}

static void exchange_close(struct exchange *exchange) {
  aws_http_response_free(&exchange->response);
  aws_curl_close(exchange->curl);
}

static int perform_request(struct exchange *exchange, struct aws_http_request *request, int port, const char *path,
                           int64_t timeout_ms) {
  char url[1024];
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
  request->url = url;
  request->deadline_ms = clock_monotonic_ms() + timeout_ms;
  aws_http_response_free(&exchange->response);
  error_clear(&exchange->error);
  return exchange->transport.perform(exchange->transport.context, request, &exchange->response, &exchange->error);
}

static int get(struct exchange *exchange, int port, int64_t timeout_ms) {
  struct aws_http_request request = {.method = "GET"};
  return perform_request(exchange, &request, port, "/", timeout_ms);
}

#define MUCH 20000

/* ---- failures ---- */

static void test_refused(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  server_start(&server, "close");
  server_stop(&server); /* the port is free again: nobody listens */
  exchange_open(&exchange);
  assert_int_equal(get(&exchange, server.port, MUCH), -1);
  assert_int_equal(exchange.error.class, ERROR_RETRYABLE);
  assert_string_equal(exchange.error.code, "ConnectionFailed");
  exchange_close(&exchange);
}

static void test_what_servers_do_wrong(void **state) {
  (void)state;
  static char too_much_header[200000];
  static const struct {
    const char *reply;
    int64_t timeout_ms;
    enum error_class class;
    const char *code; /* NULL: any */
  } rows[] = {
      {"close", MUCH, ERROR_RETRYABLE, "ConnectionBroken"},
      {"hang", 200, ERROR_RETRYABLE, AWS_CODE_TIMEOUT},
      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", MUCH, ERROR_RETRYABLE, "ConnectionBroken"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort", MUCH, ERROR_RETRYABLE, "ConnectionBroken"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", MUCH, ERROR_RETRYABLE, NULL},
      {"garbage\r\n\r\n", MUCH, ERROR_RETRYABLE, NULL},
      {"HTTP/1.1 200 OK\r\nContent-Length: 100", MUCH, ERROR_RETRYABLE, NULL},
      {too_much_header, MUCH, ERROR_NONE, NULL},
  };
  strcpy(too_much_header, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 5000; i++) strcat(too_much_header + i * 20, "X-Many-Headers: 12\r\n");
  strcat(too_much_header, "Content-Length: 0\r\n\r\n");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct server server;
    struct exchange exchange;
    server_start(&server, rows[i].reply);
    exchange_open(&exchange);
    assert_int_equal(get(&exchange, server.port, rows[i].timeout_ms), -1);
    if ((rows[i].class != ERROR_NONE && exchange.error.class != rows[i].class) ||
        (rows[i].code && strcmp(exchange.error.code, rows[i].code) != 0))
      fail_msg("row %zu: %s %s %s", i, error_class_name(exchange.error.class), exchange.error.code,
               exchange.error.message);
    assert_null(exchange.response.body);
    assert_int_equal(exchange.response.header_count, 0);
    exchange_close(&exchange);
    server_stop(&server);
  }
}

static void test_an_answer_over_the_limit(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  char *reply = calloc(1, 2 * RESPONSE_LIMIT);
  assert_non_null(reply);
  int head = sprintf(reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", RESPONSE_LIMIT + 1);
  memset(reply + head, 'x', RESPONSE_LIMIT + 1);
  server_start(&server, reply);
  exchange_open(&exchange);
  assert_int_equal(get(&exchange, server.port, MUCH), -1);
  assert_int_equal(exchange.error.class, ERROR_INVALID);
  assert_string_equal(exchange.error.code, "ResponseTooLarge");
  exchange_close(&exchange);
  server_stop(&server);
  free(reply);
}

static void test_a_deadline_in_the_past(void **state) {
  (void)state;
  struct exchange exchange;
  exchange_open(&exchange);
  assert_int_equal(get(&exchange, 1, -1), -1);
  assert_int_equal(exchange.error.class, ERROR_RETRYABLE);
  assert_string_equal(exchange.error.code, AWS_CODE_TIMEOUT);
  exchange_close(&exchange);
}

static void test_other_protocols_are_refused(void **state) {
  (void)state;
  static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://"};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    struct exchange exchange;
    exchange_open(&exchange);
    struct aws_http_request request = {.method = "GET", .url = urls[i], .deadline_ms = clock_monotonic_ms() + MUCH};
    assert_int_equal(
        exchange.transport.perform(exchange.transport.context, &request, &exchange.response, &exchange.error), -1);
    assert_int_equal(exchange.error.class, ERROR_INVALID);
    exchange_close(&exchange);
  }
  aws_thread_end();
}

/* ---- exchanges ---- */

static void test_what_is_sent(void **state) {
  (void)state;
  static const struct {
    const char *method, *path, *body;
    struct aws_http_header header;
    const char *first_line;
    const char *has, *has_not;
  } rows[] = {
      {"GET",
       "/a/../b%20c//d?x=%2F&y",
       NULL,
       {"X-A", "1"},
       "GET /a/../b%20c//d?x=%2F&y HTTP/1.1\r\n",
       "X-A: 1\r\n",
       "Content-Length"},
      {"POST", "/", "body", {"Content-Type", "text/x"}, "POST / HTTP/1.1\r\n", "Content-Type: text/x\r\n", "Expect"},
      {"POST", "/", "body", {"X-Empty", ""}, "POST / HTTP/1.1\r\n", "X-Empty:\r\n", "Content-Type"},
      {"POST", "/", NULL, {"X-A", "1"}, "POST / HTTP/1.1\r\n", "Content-Length: 0\r\n", "Expect"},
      {"PUT", "/k", "body", {"X-A", "1"}, "PUT /k HTTP/1.1\r\n", "\r\n\r\nbody", "Expect"},
      {"DELETE", "/k", NULL, {"X-A", "1"}, "DELETE /k HTTP/1.1\r\n", "X-A: 1\r\n", "Content-Type"},
      {"GET", "/k", "body", {"X-A", "1"}, "GET /k HTTP/1.1\r\n", "\r\n\r\nbody", "Expect"},
      {"PATCH", "/k", "body", {"X-A", "1"}, "PATCH /k HTTP/1.1\r\n", "Content-Length: 4\r\n", "Expect"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct server server;
    struct exchange exchange;
    struct aws_http_request request = {.method = rows[i].method,
                                       .headers = &rows[i].header,
                                       .header_count = 1,
                                       .body = rows[i].body,
                                       .body_length = rows[i].body ? strlen(rows[i].body) : 0};
    server_start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name:  a value \r\n\r\nok");
    exchange_open(&exchange);
    if (perform_request(&exchange, &request, server.port, rows[i].path, MUCH) != 0)
      fail_msg("row %zu: %s", i, exchange.error.message);
    assert_int_equal(exchange.response.status, 200);
    assert_string_equal(exchange.response.body, "ok");
    assert_int_equal(exchange.response.body_length, 2);
    assert_string_equal(aws_http_response_header(&exchange.response, "x-name"), "a value");
    server_stop(&server);
    if (strncmp(server.request, rows[i].first_line, strlen(rows[i].first_line)) != 0 ||
        !strstr(server.request, rows[i].has) || strcasestr(server.request, rows[i].has_not))
      fail_msg("row %zu sent: %s", i, server.request);
    exchange_close(&exchange);
  }
}

static void test_a_head_request_has_no_body_to_wait_for(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  struct aws_http_request request = {.method = "HEAD"};
  server_start(&server, "HTTP/1.1 404 Not Found\r\nContent-Length: 500\r\n\r\n");
  exchange_open(&exchange);
  assert_int_equal(perform_request(&exchange, &request, server.port, "/", MUCH), 0);
  assert_int_equal(exchange.response.status, 404);
  assert_int_equal(exchange.response.body_length, 0);
  exchange_close(&exchange);
  server_stop(&server);
}

static void test_redirects_are_answers(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  server_start(&server, "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  exchange_open(&exchange);
  assert_int_equal(get(&exchange, server.port, MUCH), 0);
  assert_int_equal(exchange.response.status, 301);
  assert_string_equal(aws_http_response_header(&exchange.response, "Location"), "http://127.0.0.1:1/");
  exchange_close(&exchange);
  server_stop(&server);
}

static void test_only_the_last_status_counts(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  server_start(&server,
               "HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n");
  exchange_open(&exchange);
  assert_int_equal(get(&exchange, server.port, MUCH), 0);
  assert_int_equal(exchange.response.status, 200);
  assert_null(aws_http_response_header(&exchange.response, "X-A"));
  assert_string_equal(aws_http_response_header(&exchange.response, "X-B"), "2");
  assert_string_equal(exchange.response.body, "");
  exchange_close(&exchange);
  server_stop(&server);
}

static void test_connections_are_kept(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  server_start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  server.keep_alive = 1;
  exchange_open(&exchange);
  for (int i = 0; i < 5; i++) assert_int_equal(get(&exchange, server.port, MUCH), 0);
  assert_int_equal(server.connections, 1);
  assert_int_equal(server.requests, 5);
  exchange_close(&exchange);
  server_stop(&server);
}

/* A proxy of the environment is used for what is far away, never for the machine's own network. */
static void test_no_proxy_to_local_addresses(void **state) {
  (void)state;
  struct server server;
  struct exchange exchange;
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  server_start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  exchange_open(&exchange);
  assert_int_equal(get(&exchange, server.port, MUCH), 0);
  struct aws_http_request request = {
      .method = "GET", .url = "http://far.example.com/", .deadline_ms = clock_monotonic_ms() + MUCH};
  aws_http_response_free(&exchange.response);
  assert_int_equal(
      exchange.transport.perform(exchange.transport.context, &request, &exchange.response, &exchange.error), -1);
  assert_string_equal(exchange.error.code, "ConnectionFailed"); /* to the proxy */
  unsetenv("http_proxy");
  exchange_close(&exchange);
  server_stop(&server);
}

static void *get_in_thread(void *argument) {
  struct server *server = argument;
  struct exchange exchange;
  exchange_open(&exchange);
  for (int i = 0; i < 10; i++)
    if (get(&exchange, server->port, MUCH) != 0) return NULL;
  exchange_close(&exchange);
  return server; /* the handle goes with the thread, without aws_thread_end */
}

static void test_many_threads(void **state) {
  (void)state;
  struct server server;
  pthread_t threads[8];
  server_start(&server, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
  for (size_t i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, get_in_thread, &server), 0);
  for (size_t i = 0; i < 8; i++) {
    void *result;
    pthread_join(threads[i], &result);
    assert_ptr_equal(result, &server);
  }
  assert_int_equal(server.requests, 80);
  server_stop(&server);
}

/* A whole call through libcurl. */
static void test_a_call_over_the_network(void **state) {
  (void)state;
  fake_environment();
  struct server server;
  static const char body[] =
      "<DescribeRegionsResponse><requestId>r-1</requestId><regionInfo/></DescribeRegionsResponse>";
  char url[64], reply[512];
  snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
           body);
  server_start(&server, reply);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  struct aws_options options = {.models = fake_models(), .endpoint_url = url};
  struct error error;
  struct aws_client *client = aws_open(&options, &error);
  if (!client) fail_msg("%s", error.message);
  struct aws_target target = {.region = "eu-west-1"};
  char id[96];
  struct aws_call_options call = {.request_id = id};
  json_t *result = aws_call(client, &target, "ec2.DescribeRegions", NULL, &call, &error);
  if (!result) fail_msg("%s", error.message);
  assert_string_equal(id, "r-1");
  json_decref(result);
  aws_close(client);
  server_stop(&server);
  assert_non_null(strstr(server.request, "Action=DescribeRegions"));
  assert_non_null(strcasestr(server.request, "Authorization: AWS4-HMAC-SHA256"));
}
