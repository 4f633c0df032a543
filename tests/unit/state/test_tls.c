/* Redis over TLS, on a real server with a certificate of the test's own; where hiredis has no TLS, the clear refusal.
 */
#include "fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/state_internal.h"

/* A key and a certificate for 127.0.0.1 that nobody but itself has signed, as PEM in one file. */
static void make_certificate(const char *path) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = X509_new();
  assert_non_null(key);
  assert_non_null(certificate);
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME *name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"redis", -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION *address = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
  assert_int_equal(X509_add_ext(certificate, address, -1), 1);
  X509_EXTENSION_free(address);
  assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
  assert_int_equal(PEM_write_X509(file, certificate), 1);
  fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

static struct state *open_at(const char *host, int port, char *url, size_t size) {
  struct error error = {0};
  snprintf(url, size, "rediss://%s:%d", host, port);
  struct state_options options = {.url = url, .timeout_ms = 2000, .owner = "a"};
  struct state *state = state_open(&options, &error);
  assert_non_null(state);
  return state;
}

/* In a process of its own, since authorities are read once: 0 when the certificate is refused as it should be. */
static int refused_without_its_authority(int port) {
  pid_t child = fork();
  if (child == 0) {
    char url[64];
    struct error error = {0};
    unsetenv("SSL_CERT_FILE");
    struct state *state = open_at("127.0.0.1", port, url, sizeof url);
    int answer = state_check(state, &error);
    _exit(answer == -1 && !strcmp(error.code, "tls") && strstr(error.message, "certificate") ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

static void test_tls(void **unused) {
  (void)unused;
  struct error refusal = {0};
  if (!state_tls_available()) {
    struct state_options options = {.url = "rediss://:topsecret@cache", .owner = "a"};
    assert_null(state_open(&options, &refusal));
    assert_string_equal(refusal.code, "tls");
    assert_null(strstr(refusal.message, "topsecret"));
    return;
  }
  assert_null(state_open(&(struct state_options){.url = "rediss://:topsecret@", .owner = "a"}, &refusal)); /* no host */
  assert_string_equal(refusal.code, "url");
  if (!redis_server_available()) skip();
  char path[] = "/tmp/parapet-tls-XXXXXX", port_text[8], url[64];
  int file = mkstemp(path), port = redis_server_free_port();
  assert_true(file >= 0);
  close(file);
  make_certificate(path);
  snprintf(port_text, sizeof port_text, "%d", port);
  struct redis_server *server =
      redis_server_start((const char *[]){"--tls-port", port_text, "--tls-cert-file", path, "--tls-key-file", path,
                                          "--tls-ca-cert-file", path, "--tls-auth-clients", "no", NULL});
  assert_non_null(server);
  assert_int_equal(refused_without_its_authority(port), 0);

  setenv("SSL_CERT_FILE", path, 1);
  struct state *state = open_at("127.0.0.1", port, url, sizeof url);
  join(state);
  int seen = 1;
  for (int i = 0; i < 100; i++) { /* also over connections that lay idle with tickets to be read */
    char event[16];
    snprintf(event, sizeof event, "e%d", i);
    OK(state_seen(state, event, &seen, &error));
    assert_int_equal(seen, 0);
  }
  state_close(state);

  state = open_at("localhost", port, url, sizeof url); /* the same server, which has proved to be 127.0.0.1 only */
  FAILS(state_check(state, &error), ERROR_RETRYABLE, "tls");
  state_close(state);

  state = open_at("127.0.0.1", server->port, url, sizeof url); /* where no TLS is spoken */
  struct error error = {0};
  assert_int_equal(state_check(state, &error), -1);
  state_close(state);
  unsetenv("SSL_CERT_FILE");
  redis_server_stop(server);
  unlink(path);
}
