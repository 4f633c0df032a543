/* IAM policy documents as values: who is let in, and what is allowed.
 *
 * A policy is an object, or the text of one (IAM percent-encodes it).  A statement lets everybody in ("is public") when
 * it allows, its principal is "*" (or NotPrincipal: everybody but some), and none of its conditions pins the caller.
 * The blocks of Condition are and-ed, so one pin is enough.  A pin is a positive operator over a key that says who
 * calls or from where (table `pins`) whose values are all fixed.  Negated operators, …IfExists and ForAllValues: let
 * callers without the key through, so they pin nothing; nor does a block so large that it is the Internet.  As in S3's
 * own judgement Deny statements are not weighed: what they take away can be told only call by call.
 *
 * policy_allows answers for identity policies: some Allow matches, no unconditional Deny does, and the boundary (where
 * there is one) allows it too.  An Allow under conditions counts, since it may hold; a Deny under conditions does not.
 * Action and resource may be globs themselves ("iam:*", "*"): then all of it must be allowed, and only what denies all
 * of it counts.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "functions/functions.h"

/* ---- documents ---- */
static int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  int lower = tolower((unsigned char)digit);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static json_t *parse_encoded(const char *text) {
  char *plain = malloc(strlen(text) + 1), *to = plain;
  if (!plain) return NULL;
  for (const char *from = text; *from; from++) {
    int high = from[0] == '%' ? hex_value(from[1]) : -1, low = high >= 0 ? hex_value(from[2]) : -1;
    *to++ = low >= 0 ? (char)(high * 16 + low) : *from;
    if (low >= 0) from += 2;
  }
  json_t *value = json_parse(plain, (size_t)(to - plain), NULL);
  free(plain);
  return value;
}

/* The document; new reference, NULL when it is none. */
static json_t *document_of(json_t *value) {
  if (json_is_object(value)) return json_incref(value);
  if (!json_is_string(value)) return NULL;
  const char *text = json_string_value(value);
  json_t *document = *text == '%' ? parse_encoded(text) : json_parse(text, json_string_length(value), NULL);
  if (json_is_object(document)) return document;
  json_decref(document);
  return NULL;
}

/* IAM lets a list of one be written without brackets: element `index`, or NULL. */
static json_t *one_of(const json_t *value, size_t index) {
  if (json_is_array(value)) return json_array_get(value, index);
  return index == 0 ? (json_t *)value : NULL;
}

static int says(const json_t *statement, const char *effect) {
  return strcmp(json_text_at(statement, "Effect", NULL), effect) == 0;
}

/* ---- who ---- */
static int holds_star(const json_t *value) {
  const json_t *one;
  for (size_t i = 0; (one = one_of(value, i)); i++)
    if (json_is_string(one) && strcmp(json_string_value(one), "*") == 0) return 1;
  return 0;
}

static int everybody(const json_t *statement) {
  const json_t *principal = json_object_get(statement, "Principal");
  if (json_object_get(statement, "NotPrincipal")) return 1;
  return holds_star(json_is_object(principal) ? json_object_get(principal, "AWS") : principal);
}

/* ---- conditions that pin ---- */
static int is_fixed(const char *text) { return *text && !strpbrk(text, "*?") && !strstr(text, "${"); }

static int pins_network(const char *text) { return network_text_is_broad(text) == 0; }

/* AROAEXAMPLEID:* is one role with any session name. */
static int pins_user_id(const char *text) {
  char id[130];
  size_t length = strcspn(text, ":");
  if (length == 0 || length >= sizeof id) return 0;
  memcpy(id, text, length);
  id[length] = '\0';
  return is_fixed(id);
}

/* An ARN pins when it is whole, or when at least its account is: arn:aws:sns:*:111122223333:* */
static int pins_arn(const char *text) {
  const char *account = text;
  if (is_fixed(text)) return 1;
  for (int i = 0; account && i < 4; i++) account = (account = strchr(account, ':')) ? account + 1 : NULL;
  return account && strspn(account, "0123456789") == 12 && (account[12] == ':');
}

static const struct pin {
  const char *key;
  int (*pins)(const char *value);
} pins[] = {
    {"aws:SourceIp", pins_network},
    {"aws:VpcSourceIp", pins_network},
    {"aws:SourceArn", pins_arn},
    {"aws:PrincipalArn", pins_arn},
    {"aws:SourceVpc", is_fixed},
    {"aws:SourceVpce", is_fixed},
    {"aws:SourceAccount", is_fixed},
    {"aws:SourceOwner", is_fixed},
    {"aws:SourceOrgID", is_fixed},
    {"aws:SourceOrgPaths", is_fixed},
    {"aws:PrincipalAccount", is_fixed},
    {"aws:PrincipalOrgID", is_fixed},
    {"aws:PrincipalOrgPaths", is_fixed},
    {"aws:userid", pins_user_id},
    {"kms:CallerAccount", is_fixed},
    {"sns:Endpoint", is_fixed},
    {"s3:DataAccessPointAccount", is_fixed},
    {"s3:x-amz-server-side-encryption-aws-kms-key-id", is_fixed},
};

static int operator_pins(const char *name) {
  static const char *const positive[] = {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike",
                                         "IpAddress"};
  if (strncmp(name, "ForAnyValue:", 12) == 0) name += 12;
  for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
    if (strcmp(name, positive[i]) == 0) return 1;
  return 0;
}

static int key_pins(const char *key, const json_t *values) {
  const struct pin *pin = pins, *end = pins + sizeof pins / sizeof *pins;
  while (pin < end && strcasecmp(pin->key, key) != 0) pin++;
  if (pin == end) return 0;
  const json_t *value;
  size_t count = 0;
  for (; (value = one_of(values, count)); count++)
    if (!json_is_string(value) || !pin->pins(json_string_value(value))) return 0;
  return count > 0;
}

static int is_pinned(const json_t *statement) {
  const char *operator, * key;
  json_t *keys, *values;
  json_object_foreach(json_object_get(statement, "Condition"), operator, keys) {
    if (!operator_pins(operator)) continue;
    json_object_foreach(keys, key, values) if (key_pins(key, values)) return 1;
  }
  return 0;
}

static int is_public(const json_t *statement) {
  return says(statement, "Allow") && everybody(statement) && !is_pinned(statement);
}

json_t *function_policy_public_statements(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                          struct error *error) {
  (void)count, (void)scope, (void)error;
  json_t *document = document_of(arguments[0]), *found = json_array(), *statement;
  for (size_t i = 0; (statement = one_of(json_object_get(document, "Statement"), i)); i++)
    if (is_public(statement)) json_array_append(found, statement);
  json_decref(document);
  return found;
}

json_t *function_policy_is_public(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                  struct error *error) {
  json_t *found = function_policy_public_statements(arguments, count, scope, error);
  json_t *answer = json_boolean(json_array_size(found) > 0);
  json_decref(found);
  return answer;
}

json_t *function_policy_document(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error) {
  (void)count, (void)scope, (void)error;
  json_t *document = document_of(arguments[0]);
  return document ? document : json_null();
}

/* ---- pinning ---- */

/* The statement under the condition as well.  A key that the same operator holds already is replaced: its values let
 * everybody in, or the statement would not be public. */
static json_t *pinned(const json_t *statement, const json_t *condition) {
  json_t *copy = json_deep_copy(statement), *block, *own = json_object_get(copy, "Condition");
  const char *operator;
  if (!json_is_object(own)) json_object_set_new(copy, "Condition", own = json_object());
  json_object_foreach((json_t *)condition, operator, block) {
    json_t *merged = json_object_get(own, operator) ? json_copy(json_object_get(own, operator)) : json_object();
    json_object_update(merged, block);
    json_object_set_new(own, operator, merged);
  }
  return copy;
}

json_t *function_policy_pin(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                            struct error *error) {
  (void)count, (void)scope, (void)error;
  json_t *document = document_of(arguments[0]), *statements = json_array(), *statement;
  if (!document) {
    json_decref(statements);
    return json_null();
  }
  json_t *copy = json_copy(document);
  for (size_t i = 0; (statement = one_of(json_object_get(document, "Statement"), i)); i++)
    json_array_append_new(statements, is_public(statement) ? pinned(statement, arguments[1]) : json_incref(statement));
  json_object_set_new(copy, "Statement", statements);
  json_decref(document);
  return copy;
}

/* ---- what ---- */
static int glob_without_case(const char *pattern, const char *text) {
  char *lower[2] = {strdup(pattern), strdup(text)};
  for (int i = 0; i < 2; i++)
    for (char *at = lower[i]; at && *at; at++) *at = (char)tolower((unsigned char)*at);
  int answer = lower[0] && lower[1] && engine_glob(lower[0], lower[1]);
  free(lower[0]);
  free(lower[1]);
  return answer;
}

enum { PATTERN_BYTES = 1024 };

/* Is there a text that both globs hold, but for case?  What is asked for may be one, too: "s3:*", "*".  From the ends
 * backwards: row[j] says whether what is left of `one` meets other[j…]. */
static int globs_meet(const char *one, const char *other) {
  unsigned char row[PATTERN_BYTES + 1];
  size_t length = strlen(other);
  if (length > PATTERN_BYTES) return 1; /* longer than any ARN */
  for (size_t j = length + 1; j-- > 0;) row[j] = j == length || (other[j] == '*' && row[j + 1]);
  for (size_t i = strlen(one); i-- > 0;) {
    unsigned char diagonal = row[length]; /* of the row below: [i + 1][j + 1] */
    row[length] = one[i] == '*' && row[length];
    for (size_t j = length; j-- > 0;) {
      unsigned char below = row[j];
      if (one[i] == '*' || other[j] == '*')
        row[j] = below || row[j + 1];
      else
        row[j] = diagonal && (one[i] == '?' || other[j] == '?' ||
                              tolower((unsigned char)one[i]) == tolower((unsigned char)other[j]));
      diagonal = below;
    }
  }
  return row[0];
}

/* ${aws:username} may be anything, so it is *; but not in a Deny, which then may not hold. */
static void open_variables(const char *text, char *plain, size_t size, int is_deny) {
  size_t used = 0;
  while (*text && used + 2 < size) {
    const char *end = text[0] == '$' && text[1] == '{' ? strchr(text, '}') : NULL;
    plain[used++] = !end ? *text : end == text + 3 ? text[2] : is_deny ? '\1' : '*'; /* ${*}: the character itself */
    text = end ? end + 1 : text + 1;
  }
  plain[used] = '\0';
}

/* Does one of the statement's `key` globs hold all of what is asked for?  `Not…`: do none of its globs hold any of it?
 * Neither there: no. */
static int covers_text(const json_t *statement, const char *key, const char *not_key, const char *text,
                       int (*glob)(const char *, const char *)) {
  const json_t *values = json_object_get(statement, key), *value;
  int turned = !values, is_glob = strpbrk(text, "*?") != NULL;
  char pattern[PATTERN_BYTES];
  if (turned && !(values = json_object_get(statement, not_key))) return 0;
  for (size_t i = 0; (value = one_of(values, i)); i++) {
    if (!json_is_string(value)) continue;
    open_variables(json_string_value(value), pattern, sizeof pattern, says(statement, "Deny") != turned);
    if (turned && is_glob ? globs_meet(pattern, text) : glob(pattern, text)) return !turned;
  }
  return turned;
}

static int covers_call(const json_t *statement, const char *action, const char *resource) {
  return covers_text(statement, "Action", "NotAction", action, glob_without_case) &&
         covers_text(statement, "Resource", "NotResource", resource, engine_glob);
}

struct verdict { /* of all statements on one call */
  int allowed, denied;
};

static void weigh(json_t *policy, const char *action, const char *resource, struct verdict *verdict) {
  json_t *document = document_of(policy), *statement;
  for (size_t i = 0; (statement = one_of(json_object_get(document, "Statement"), i)); i++) {
    if (!covers_call(statement, action, resource)) continue;
    if (says(statement, "Allow")) verdict->allowed = 1;
    if (says(statement, "Deny") && json_object_size(json_object_get(statement, "Condition")) == 0) verdict->denied = 1;
  }
  json_decref(document);
}

json_t *function_policy_allows(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                               struct error *error) {
  (void)scope, (void)error;
  if (!json_is_string(arguments[1]) || !json_is_string(arguments[2])) return json_false();
  const char *action = json_string_value(arguments[1]), *resource = json_string_value(arguments[2]);
  struct verdict identity = {0}, boundary = {.allowed = 1};
  json_t *policy;
  for (size_t i = 0; (policy = one_of(arguments[0], i)); i++) weigh(policy, action, resource, &identity);
  if (count > 3 && !json_is_null(arguments[3])) {
    boundary.allowed = 0;
    weigh(arguments[3], action, resource, &boundary);
  }
  return json_boolean(identity.allowed && boundary.allowed && !identity.denied && !boundary.denied);
}

/* ---- ARNs ---- */
json_t *function_arn_name(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error) {
  (void)count, (void)scope, (void)error;
  if (!json_is_string(arguments[0])) return json_null();
  const char *text = json_string_value(arguments[0]), *last = text;
  for (const char *at = text; *at; at++)
    if (*at == '/' || *at == ':') last = at + 1;
  return json_string(last);
}

json_t *function_arn_part(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error) {
  (void)count, (void)scope, (void)error;
  if (!json_is_string(arguments[0]) || !json_is_integer(arguments[1])) return json_null();
  const char *text = json_string_value(arguments[0]);
  for (json_int_t n = json_integer_value(arguments[1]); n > 0; n--) {
    if (!(text = strchr(text, ':'))) return json_null();
    text++;
  }
  return json_stringn(text, strcspn(text, ":"));
}
