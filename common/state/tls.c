/* TLS to Redis, where hiredis has it: 1.0 and later, with hiredis_ssl beside it.  (Debian 12's 0.14 has none.)
 *
 * hiredis' own context checks a certificate's chain but not whose it is, so the handshake is set up here: TLS 1.2 at
 * least, the system's authorities (or SSL_CERT_FILE, SSL_CERT_DIR), and the name or address of the URL. */
#include "state/state_internal.h"

#ifdef PARAPET_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static SSL_CTX *settings; /* this process's; NULL: it could not be made */

static void set_up(void) {
  settings = SSL_CTX_new(TLS_client_method());
  if (settings && SSL_CTX_set_min_proto_version(settings, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_default_verify_paths(settings) == 1) {
    SSL_CTX_set_verify(settings, SSL_VERIFY_PEER, NULL);
    return;
  }
  SSL_CTX_free(settings);
  settings = NULL;
}

/* The other side must be `host`: by address when it is one, else by name. */
static int expect(SSL *ssl, const char *host) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1) return 1;
  return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int state_tls_available(void) { return 1; }

int state_tls_begin(redisContext *context, const char *host, struct error *error) {
  pthread_once(&once, set_up);
  SSL *ssl = settings ? SSL_new(settings) : NULL;
  if (ssl && expect(ssl, host) && redisInitiateSSL(context, ssl) == REDIS_OK) return 0; /* the context's now */
  long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
  SSL_free(ssl);
  ERR_clear_error();
  if (verdict != X509_V_OK)
    return error_set(error, ERROR_RETRYABLE, "tls", "Redis's certificate is refused: %s (authorities: SSL_CERT_FILE)",
                     X509_verify_cert_error_string(verdict));
  return error_set(error, ERROR_RETRYABLE, "tls", "no TLS with Redis: %s",
                   context->err ? context->errstr : "it cannot be set up");
}
#else
int state_tls_available(void) { return 0; }

int state_tls_begin(redisContext *context, const char *host, struct error *error) {
  (void)context, (void)host;
  return error_set(error, ERROR_INVALID, "tls", "this build has no TLS to Redis");
}
#endif
