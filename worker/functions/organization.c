/* Who is ours: accounts, and the principals that belong to them. */
#include <string.h>

#include "functions/functions.h"

/* The account in an ARN ("arn:aws:iam::111111111111:root"), or an account's id as it is; NULL: neither. */
static json_t *account_of(const json_t *value) {
  const char *text = json_is_string(value) ? json_string_value(value) : "";
  if (strncmp(text, "arn:", 4) == 0)
    for (int i = 0; text && i < 4; i++) text = (text = strchr(text, ':')) ? text + 1 : NULL;
  if (!text || strspn(text, "0123456789") != 12 || (text[12] != '\0' && text[12] != ':')) return NULL;
  return json_stringn(text, 12);
}

json_t *function_arn_account(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)count, (void)scope, (void)error;
  json_t *account = account_of(arguments[0]);
  return account ? account : json_null();
}

/* Not to know who is ours is no reason to call anybody a stranger: the judgement fails. */
json_t *function_in_organization(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error) {
  (void)count;
  int found;
  const json_t *ours = jmes_scope_get(scope, "organization", &found);
  if (!json_is_object(ours)) {
    error_set(error, ERROR_RETRYABLE, "Organization", "which accounts are ours is not known (give an accounts file)");
    return NULL;
  }
  json_t *account = account_of(arguments[0]);
  json_t *answer = json_boolean(account && json_object_get(ours, json_string_value(account)));
  json_decref(account);
  return answer;
}
