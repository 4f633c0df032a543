/* One POST, signed so that the receiver knows who wrote it, and when. */
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "notices/notices.h"

enum { HASH_BYTES = 32 };

/* "v1=" and the hex of HMAC-SHA256(secret, timestamp "." body) */
static int sign(const char *secret, const char *timestamp, const char *body, char signature[80]) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  struct buffer text = {.ceiling = SIZE_MAX / 2};
  buffer_addf(&text, "%s.", timestamp);
  buffer_add_text(&text, body);
  int failed =
      text.failed ||
      !HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text.data, text.length, hash, &length) ||
      length != HASH_BYTES;
  buffer_free(&text);
  memcpy(signature, "v1=", 4);
  for (size_t i = 0; !failed && i < HASH_BYTES; i++) snprintf(signature + 3 + 2 * i, 3, "%02x", hash[i]);
  return failed;
}

/* What a receiver's answer means for another try. */
static int judge_status(int status, struct error *error) {
  if (status >= 200 && status < 300) return 0;
  int body_refused = status == 400 || status == 413 || status == 415 || status == 422;
  enum error_class class = status == 429   ? ERROR_THROTTLED
                           : body_refused  ? ERROR_INVALID
                           : status >= 500 ? ERROR_RETRYABLE
                           : status == 408 ? ERROR_RETRYABLE
                                           : ERROR_DENIED;
  return error_set(error, class, "Webhook", "the receiver answered with status %d%s", status,
                   status >= 300 && status < 400 ? ": give the address that it redirects to" : "");
}

int webhook_post(const struct aws_transport *transport, const struct channel *channel, const char *delivery,
                 const char *body, int64_t now_ms, struct error *error) {
  char timestamp[24], signature[80];
  struct aws_http_header headers[5] = {{"Content-Type", "application/json"},
                                       {"User-Agent", "parapet/" PARAPET_VERSION},
                                       {"X-Parapet-Delivery", delivery},
                                       {"X-Parapet-Timestamp", timestamp},
                                       {"X-Parapet-Signature", signature}};
  snprintf(timestamp, sizeof timestamp, "%lld", (long long)(now_ms / 1000));
  if (channel->secret && sign(channel->secret, timestamp, body, signature) != 0)
    return error_set(error, ERROR_FATAL, "Webhook", "the body could not be signed");
  struct aws_http_request request = {.method = "POST",
                                     .url = channel->url,
                                     .headers = headers,
                                     .header_count = channel->secret ? 5 : 4,
                                     .body = body,
                                     .body_length = strlen(body),
                                     .deadline_ms = clock_monotonic_ms() + channel->timeout_ms};
  struct aws_http_response response = {0};
  if (transport->perform(transport->context, &request, &response, error) != 0) return -1;
  int result = judge_status(response.status, error);
  aws_http_response_free(&response);
  return result;
}
