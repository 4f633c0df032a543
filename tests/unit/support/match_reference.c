#include "match_reference.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a JSON tree ---- */

struct tree {
  char kind; /* { [ " 0 t f n */
  char key[64], text[512];
  struct tree *children[64];
  int count;
};

static struct tree *parse(const char **at);

static void free_tree(struct tree *tree) {
  if (!tree) return;
  for (int i = 0; i < tree->count; i++) free_tree(tree->children[i]);
  free(tree);
}

static void skip(const char **at) {
  while (**at && strchr(" \t\r\n", **at)) ++*at;
}

static size_t put_code(char *text, unsigned code) {
  if (code < 0x80) return (size_t)sprintf(text, "%c", (char)code);
  if (code < 0x800) return (size_t)sprintf(text, "%c%c", (char)(0xC0 | code >> 6), (char)(0x80 | (code & 0x3F)));
  if (code < 0x10000)
    return (size_t)sprintf(text, "%c%c%c", (char)(0xE0 | code >> 12), (char)(0x80 | (code >> 6 & 0x3F)),
                           (char)(0x80 | (code & 0x3F)));
  return (size_t)sprintf(text, "%c%c%c%c", (char)(0xF0 | code >> 18), (char)(0x80 | (code >> 12 & 0x3F)),
                         (char)(0x80 | (code >> 6 & 0x3F)), (char)(0x80 | (code & 0x3F)));
}

/* `*at` stands at the letter behind the backslash, afterwards at the escape's last byte. */
static bool parse_escape(const char **at, unsigned *code) {
  static const char letters[] = "ntrbf", meant[] = "\n\t\r\b\f";
  const char *letter = strchr(letters, **at);
  unsigned low = 0;
  *code = letter && **at ? (unsigned char)meant[letter - letters] : (unsigned char)**at;
  if (**at != 'u') return **at != '\0';
  if (sscanf(*at + 1, "%4x", code) != 1) return false;
  *at += 4;
  bool pair = *code >> 10 == 0xD800 >> 10 && sscanf(*at + 1, "\\u%4x", &low) == 1 && low >> 10 == 0xDC00 >> 10;
  if (!pair) return true;
  *code = 0x10000 + ((*code & 0x3FF) << 10) + (low & 0x3FF);
  *at += 6;
  return true;
}

static bool parse_string(const char **at, char *text, size_t size) {
  size_t length = 0;
  for (++*at; **at && **at != '"'; ++*at) {
    unsigned code = 0;
    if (length + 5 > size) return false;
    if (**at != '\\') {
      text[length++] = **at;
      continue;
    }
    ++*at;
    if (!parse_escape(at, &code)) return false;
    length += put_code(text + length, code);
  }
  text[length] = '\0';
  if (!**at) return false;
  ++*at;
  return true;
}

static bool parse_children(const char **at, struct tree *tree) {
  char close = tree->kind == '{' ? '}' : ']';
  ++*at;
  skip(at);
  while (**at && **at != close) {
    char key[64] = "";
    if (tree->count == 64) return false;
    if (tree->kind == '{') {
      if (**at != '"' || !parse_string(at, key, sizeof key)) return false;
      skip(at);
      if (*(*at)++ != ':') return false;
    }
    struct tree *child = parse(at);
    if (!child) return false;
    strcpy(child->key, key);
    tree->children[tree->count++] = child;
    skip(at);
    if (**at == ',') ++*at;
    skip(at);
  }
  return *(*at)++ == close;
}

static struct tree *parse(const char **at) {
  struct tree *tree = calloc(1, sizeof *tree);
  if (!tree) return NULL;
  bool good = true;
  skip(at);
  tree->kind = **at;
  if (tree->kind == '{' || tree->kind == '[') {
    good = parse_children(at, tree);
  } else if (tree->kind == '"') {
    good = parse_string(at, tree->text, sizeof tree->text);
  } else {
    size_t length = strcspn(*at, ",]} \t\r\n");
    good = length > 0 && length < sizeof tree->text;
    if (good) memcpy(tree->text, *at, length);
    *at += length;
    if (!strchr("tfn", tree->kind)) tree->kind = '0';
  }
  if (good) return tree;
  free_tree(tree);
  return NULL;
}

/* ---- numbers: digits written out ---- */

enum { DIGITS = 1200, POINT = 600 }; /* exponents up to ±500 */

static int digits_of(const char *text, char digits[DIGITS]) {
  int sign = *text == '-' ? -1 : 1, position = 0, point = -1;
  char all[DIGITS];
  memset(digits, '0', DIGITS);
  for (; *text && *text != 'e' && *text != 'E'; text++) {
    if (*text == '.') point = position;
    if (*text >= '0' && *text <= '9') all[position++] = *text;
  }
  if (point < 0) point = position;
  int exponent = *text ? atoi(text + 1) : 0;
  for (int i = 0; i < position; i++) {
    int to = POINT - exponent - point + i;
    if (to >= 0 && to < DIGITS) digits[to] = all[i];
  }
  for (int i = 0; i < DIGITS; i++)
    if (digits[i] != '0') return sign;
  return 0;
}

static int compare_numbers(const char *a, const char *b) {
  char a_digits[DIGITS], b_digits[DIGITS];
  int a_sign = digits_of(a, a_digits), b_sign = digits_of(b, b_digits);
  if (a_sign != b_sign) return a_sign < b_sign ? -1 : 1;
  /* NOLINTNEXTLINE(bugprone-suspicious-string-compare): the sign is what is wanted */
  return a_sign * memcmp(a_digits, b_digits, DIGITS);
}

/* ---- operators ---- */

/* The characters that the generator uses besides ASCII. */
static const char *const cases[][3] = {{"é", "é", "É"},           {"É", "é", "É"}, {"ß", "ß", "SS"}, {"ⱥ", "ⱥ", "Ⱥ"},
                                       {"Ⱥ", "ⱥ", "Ⱥ"},           {"ǆ", "ǆ", "Ǆ"}, {"ǅ", "ǆ", "Ǆ"},  {"Ǆ", "ǆ", "Ǆ"},
                                       {"\u212A", "k", "\u212A"}, {"ı", "ı", "I"}, {"𐐨", "𐐨", "𐐀"},  {"𐐀", "𐐨", "𐐀"}};

static size_t character(const char *text) {
  size_t length = 1;
  while (((unsigned char)text[length] & 0xC0) == 0x80) length++;
  return length;
}

static char flip(char letter) {
  if (letter >= 'a' && letter <= 'z') return (char)(letter - 32);
  return letter >= 'A' && letter <= 'Z' ? (char)(letter + 32) : letter;
}

/* Writes the spellings of the first character of `pattern`. */
static size_t spellings(const char *pattern, char out[3][8]) {
  size_t length = character(pattern), count = 0;
  snprintf(out[count++], 8, "%.*s", (int)length, pattern);
  if (length == 1) snprintf(out[count++], 8, "%c", flip(*pattern));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (strcmp(cases[i][0], out[0]) == 0)
      for (int c = 1; c < 3; c++) snprintf(out[count++], 8, "%s", cases[i][c]);
  return count < 3 ? count : 3;
}

/* `rest` true: text may go on behind the pattern. */
static bool fold(const char *pattern, const char *text, bool rest) {
  char spelled[3][8];
  if (!*pattern) return rest || !*text;
  size_t count = spellings(pattern, spelled);
  for (size_t i = 0; i < count; i++)
    if (strncmp(text, spelled[i], strlen(spelled[i])) == 0 &&
        fold(pattern + character(pattern), text + strlen(spelled[i]), rest))
      return true;
  return false;
}

static bool fold_end(const char *pattern, const char *text) {
  for (;; text++) {
    if (fold(pattern, text, false)) return true;
    if (!*text) return false;
  }
}

static bool wildcard(const char *pattern, const char *text) {
  if (!*pattern) return !*text;
  if (*pattern == '*') return wildcard(pattern + 1, text) || (*text && wildcard(pattern, text + 1));
  if (*pattern == '\\') pattern++;
  return *text == *pattern && wildcard(pattern + 1, text + 1);
}

static bool ends(const char *text, const char *end) {
  size_t length = strlen(text), end_length = strlen(end);
  return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* IPv4's leading zeros mean nothing (10.0.0.010 is 10.0.0.10). */
static void without_zeros(const char *text, char *plain, size_t size) {
  size_t length = 0;
  for (bool first = true; *text && length + 1 < size; text++) {
    if (first && *text == '0' && text[1] >= '0' && text[1] <= '9') continue;
    first = *text == '.';
    plain[length++] = *text;
  }
  plain[length] = '\0';
}

static int address(const char *text, unsigned char bytes[16]) {
  char plain[64];
  without_zeros(text, plain, sizeof plain);
  if (inet_pton(AF_INET, plain, bytes) == 1) return 4;
  return inet_pton(AF_INET6, text, bytes) == 1 ? 16 : 0;
}

static bool cidr(const char *network, const char *text) {
  unsigned char want[16], have[16];
  char start[64];
  snprintf(start, sizeof start, "%.*s", (int)strcspn(network, "/"), network);
  int length = address(start, want), bits = length * 8;
  const char *slash = strchr(network, '/');
  if (slash) bits = atoi(slash + 1);
  if (length == 0 || address(text, have) != length) return false;
  for (int bit = 0; bit < bits; bit++)
    if ((want[bit / 8] ^ have[bit / 8]) & (0x80 >> bit % 8)) return false;
  return true;
}

static bool numeric(const struct tree *list, const struct tree *value) {
  if (value->kind != '0') return false;
  for (int i = 0; i + 1 < list->count; i += 2) {
    const char *word = list->children[i]->text;
    int order = compare_numbers(value->text, list->children[i + 1]->text);
    bool holds = (order == 0 && strchr(word, '=')) || (order < 0 && *word == '<') || (order > 0 && *word == '>');
    if (!holds) return false;
  }
  return true;
}

static bool text_operator(const char *name, const struct tree *operand, const char *text) {
  if (operand->kind == '{') { /* prefix and suffix with equals-ignore-case */
    const char *folded = operand->children[0]->text;
    return *name == 'p' ? fold(folded, text, true) : fold_end(folded, text);
  }
  const char *want = operand->text;
  if (strcmp(name, "exactly") == 0) return strcmp(want, text) == 0;
  if (strcmp(name, "prefix") == 0) return strncmp(text, want, strlen(want)) == 0;
  if (strcmp(name, "suffix") == 0) return ends(text, want);
  if (strcmp(name, "equals-ignore-case") == 0) return fold(want, text, false);
  if (strcmp(name, "wildcard") == 0) return wildcard(want, text);
  if (strcmp(name, "cidr") == 0) return cidr(want, text);
  return false;
}

/* What anything-but excludes: a scalar, a list, or an operator with a scalar or list. */
static bool excluded(const char *name, const struct tree *operand, const struct tree *value) {
  if (operand->kind == '{') return excluded(operand->children[0]->key, operand->children[0], value);
  if (operand->kind == '[') {
    for (int i = 0; i < operand->count; i++)
      if (excluded(name, operand->children[i], value)) return true;
    return false;
  }
  if (operand->kind == '0') return value->kind == '0' && compare_numbers(operand->text, value->text) == 0;
  return value->kind == '"' && text_operator(name, operand, value->text);
}

static bool holds(const struct tree *wanted, const struct tree *value) {
  unsigned char bytes[16];
  if (wanted->kind != '{') {
    if (wanted->kind != value->kind) return false;
    if (wanted->kind == '0') return compare_numbers(wanted->text, value->text) == 0;
    if (wanted->kind == '"' && address(wanted->text, bytes) != 0) return cidr(wanted->text, value->text);
    return wanted->kind != '"' || strcmp(wanted->text, value->text) == 0;
  }
  const struct tree *operand = wanted->children[0];
  if (strcmp(operand->key, "exists") == 0) return operand->kind == 't';
  if (strcmp(operand->key, "numeric") == 0) return numeric(operand, value);
  if (strcmp(operand->key, "anything-but") == 0) return !excluded("exactly", operand, value);
  return value->kind == '"' && text_operator(operand->key, operand, value->text);
}

/* ---- an event, flattened ---- */

struct leaf {
  char path[96];
  const struct tree *value;
  int arrays[16], elements[16], depth; /* the arrays that it lies in, and where */
};

struct leaves {
  struct leaf items[256];
  int count, arrays;
  bool overflow;
};

static void flatten(struct leaves *leaves, const struct tree *tree, struct leaf here) {
  int array = tree->kind == '[' ? leaves->arrays++ : 0;
  if (here.depth == 16 || leaves->count == 256) leaves->overflow = true;
  if (leaves->overflow) return;
  if (tree->kind != '{' && tree->kind != '[') {
    here.value = tree;
    leaves->items[leaves->count++] = here;
    return;
  }
  for (int i = 0; i < tree->count; i++) {
    struct leaf next = here;
    const struct tree *child = tree->children[i];
    if (tree->kind == '{') {
      int length = snprintf(next.path, sizeof next.path, "%s.%s", here.path, child->key);
      if (length >= (int)sizeof next.path) leaves->overflow = true;
    } else if (child->kind == '{' || child->kind == '[') {
      next.arrays[next.depth] = array;
      next.elements[next.depth++] = i;
    }
    flatten(leaves, child, next);
  }
}

static bool consistent(const struct leaf *a, const struct leaf *b) {
  for (int i = 0; i < a->depth; i++)
    for (int j = 0; j < b->depth; j++)
      if (a->arrays[i] == b->arrays[j] && a->elements[i] != b->elements[j]) return false;
  return true;
}

/* ---- a pattern, multiplied out ---- */

struct rule {
  char paths[16][96];
  const struct tree *lists[16];
  int count;
};

struct rules {
  struct rule items[64];
  int count;
  bool overflow;
};

static void set_field(struct rules *rules, const char *path, const struct tree *list) {
  if (rules->count == 0) rules->items[rules->count++].count = 0;
  for (int r = 0; r < rules->count; r++) {
    struct rule *rule = &rules->items[r];
    int f = 0;
    while (f < rule->count && strcmp(rule->paths[f], path) != 0) f++;
    if (f == 16) {
      rules->overflow = true;
      return;
    }
    if (f == rule->count) rule->count++;
    snprintf(rule->paths[f], sizeof rule->paths[f], "%s", path);
    rule->lists[f] = list;
  }
}

static void multiply(struct rules *rules, const char *path, const struct tree *object);

static void copy_rules(struct rules *to, const struct rules *from) {
  to->count = from->count;
  to->overflow = from->overflow;
  memcpy(to->items, from->items, (size_t)from->count * sizeof *from->items);
}

static void multiply_or(struct rules *rules, const char *path, const struct tree *list) {
  struct rules *before = malloc(sizeof *before), *branch = malloc(sizeof *branch);
  if (!before || !branch) abort();
  copy_rules(before, rules);
  rules->count = 0;
  for (int i = 0; i < list->count; i++) {
    copy_rules(branch, before);
    multiply(branch, path, list->children[i]);
    rules->overflow = rules->overflow || branch->overflow || rules->count + branch->count > 64;
    for (int r = 0; !rules->overflow && r < branch->count; r++) rules->items[rules->count++] = branch->items[r];
  }
  free(before);
  free(branch);
}

/* $or is a word only where objects that are no match expressions follow. */
static bool is_or(const struct tree *member) {
  static const char operators[] =
      " exactly prefix suffix equals-ignore-case wildcard anything-but numeric exists cidr ";
  char word[80];
  if (strcmp(member->key, "$or") != 0 || member->kind != '[' || member->children[0]->kind != '{') return false;
  snprintf(word, sizeof word, " %s ", member->children[0]->children[0]->key);
  return strstr(operators, word) == NULL;
}

static void multiply(struct rules *rules, const char *path, const struct tree *object) {
  for (int i = 0; i < object->count && !rules->overflow; i++) {
    const struct tree *member = object->children[i];
    char next[96];
    if (snprintf(next, sizeof next, "%s.%s", path, member->key) >= (int)sizeof next) rules->overflow = true;
    if (is_or(member))
      multiply_or(rules, path, member);
    else if (member->kind == '{')
      multiply(rules, next, member);
    else
      set_field(rules, next, member);
  }
}

/* ---- matching: every choice of one leaf a field ---- */

struct attempt {
  const struct rule *rule;
  const struct leaves *leaves;
  const struct leaf *chosen[16];
  long budget;
};

static bool agrees(const struct attempt *attempt, const struct leaf *leaf, int count) {
  for (int i = 0; i < count; i++)
    if (attempt->chosen[i] && !consistent(attempt->chosen[i], leaf)) return false;
  return true;
}

static bool is_absent(const struct attempt *attempt, int field) {
  for (int i = 0; i < attempt->leaves->count; i++) {
    const struct leaf *leaf = &attempt->leaves->items[i];
    if (strcmp(leaf->path, attempt->rule->paths[field]) == 0 && agrees(attempt, leaf, attempt->rule->count))
      return false;
  }
  return true;
}

static bool may_be_absent(const struct tree *list) {
  for (int i = 0; i < list->count; i++) {
    const struct tree *value = list->children[i];
    if (value->kind == '{' && strcmp(value->children[0]->key, "exists") == 0 && value->children[0]->kind == 'f')
      return true;
  }
  return false;
}

static bool meets(const struct tree *list, const struct tree *value) {
  for (int i = 0; i < list->count; i++)
    if (holds(list->children[i], value)) return true;
  return false;
}

static bool try_field(struct attempt *attempt, int field) {
  if (field == attempt->rule->count) {
    for (int f = 0; f < field; f++)
      if (!attempt->chosen[f] && !is_absent(attempt, f)) return false;
    return true;
  }
  const struct tree *list = attempt->rule->lists[field];
  for (int i = 0; i < attempt->leaves->count; i++) {
    const struct leaf *leaf = &attempt->leaves->items[i];
    if (--attempt->budget < 0) return false;
    if (strcmp(leaf->path, attempt->rule->paths[field]) != 0 || !meets(list, leaf->value)) continue;
    if (!agrees(attempt, leaf, field)) continue;
    attempt->chosen[field] = leaf;
    if (try_field(attempt, field + 1)) return true;
  }
  attempt->chosen[field] = NULL;
  return may_be_absent(list) && try_field(attempt, field + 1);
}

static int match_trees(const struct tree *pattern, const struct tree *event) {
  static struct rules rules; /* large: kept from call to call */
  static struct leaves leaves;
  rules.count = leaves.count = leaves.arrays = 0;
  rules.overflow = leaves.overflow = false;
  multiply(&rules, "", pattern);
  flatten(&leaves, event, (struct leaf){.path = ""});
  int result = rules.overflow || leaves.overflow ? -1 : 0;
  for (int r = 0; result == 0 && r < rules.count; r++) {
    struct attempt attempt = {.rule = &rules.items[r], .leaves = &leaves, .budget = 100000};
    result = try_field(&attempt, 0);
    if (attempt.budget < 0) result = -1;
  }
  return result;
}

int match_reference(const char *pattern, const char *event) {
  struct tree *pattern_tree = parse(&pattern), *event_tree = parse(&event);
  int result = pattern_tree && event_tree ? match_trees(pattern_tree, event_tree) : -1;
  free_tree(pattern_tree);
  free_tree(event_tree);
  return result;
}

/* ---- the generator ---- */

struct out {
  struct match_choices *choices;
  char *text;
  size_t length;
  bool few_names, few_values; /* so that patterns and events meet, in nested arrays too */
};

static unsigned pick(struct out *out, unsigned count) {
  struct match_choices *choices = out->choices;
  return choices->at < choices->count ? choices->bytes[choices->at++] % count : 0;
}

static void put(struct out *out, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(out->text + out->length, MATCH_GENERATED_BYTES - out->length, format, arguments);
  va_end(arguments);
  if (length > 0) out->length += (size_t)length;
  if (out->length >= MATCH_GENERATED_BYTES) out->length = MATCH_GENERATED_BYTES - 1;
}

static bool is_full(const struct out *out) { return out->length > MATCH_GENERATED_BYTES / 4; }

/* Of two letters and more, mostly: the walk over an event stops early by such names only.  One ends as another does. */
static const char *const names[] = {"ab",          "cab", "xy",     "b",   "ab.xy",  "long-name-1",
                                    "long-name-2", "",    "xy.cab", "$or", "q\"\\{", "a name, ]"};
static const char *const texts[] = {"a",
                                    "b",
                                    "ab",
                                    "abc",
                                    "aab",
                                    "",
                                    "AB",
                                    "Abc",
                                    "cab",
                                    "10.0.0.1",
                                    "10.0.0.7",
                                    "10.0.0.01",
                                    "10.0.0.256",
                                    "10.0.0.",
                                    "::1",
                                    "0:0::1",
                                    "::ffff:10.0.0.1",
                                    "::FFFF:a00:1",
                                    "1:2:3:4:5:6:7:8",
                                    "1::2::3",
                                    "fe80::",
                                    "é",
                                    "É",
                                    "ß",
                                    "SS",
                                    "ⱥb",
                                    "Ⱥb",
                                    "ǅ",
                                    "Ǆa",
                                    "ǆ",
                                    "\u212A",
                                    "k",
                                    "ıb",
                                    "Ib",
                                    "𐐨b",
                                    "𐐀b",
                                    "abab",
                                    "abcababcXabcab",
                                    "a*b",
                                    "a\\b",
                                    "*",
                                    "\"",
                                    "a/b\n",
                                    "1",
                                    "null",
                                    "aXbXc",
                                    "10.0.1.1",
                                    "ss"};
static const char *const numbers[] = {"0",
                                      "-0",
                                      "1",
                                      "1.0",
                                      "10e-1",
                                      "2",
                                      "-1",
                                      "100",
                                      "1e2",
                                      "0.1",
                                      "0.10",
                                      "12345678901234567890",
                                      "12345678901234567891",
                                      "9007199254740993",
                                      "9007199254740992",
                                      "1e400",
                                      "-1e400",
                                      "1e-400",
                                      "5",
                                      "123456789012345678901234567890.5",
                                      "1.5E+2",
                                      "150",
                                      "-0.0",
                                      "0e9",
                                      "1e20",
                                      "100000000000000000000",
                                      "18446744073709551616",
                                      "-1.5e-3",
                                      "-0.0015",
                                      "3.5"};
static const char *const plain_numbers[] = {
    "0",    "-1",   "1",       "1.0e0",           "2", "100", "0.1", "12345678901234567890", "150.0", "5", "-0",
    "1e20", "3.50", "-1.5e-3", "9007199254740993"};
static const char *const wildcards[] = {"a*",    "*b",    "a*b",    "*a*",    "*",          "a*b*c",  "*ab*",    "",
                                        "ab",    "*a*b*", "a*b*a*", "*bc*",   "10.0.*",     "*\\\\*", "\\**",    "*b*c",
                                        "*aba*", "a*X*c", "*abab*", "a*abc*", "*abca*cab*", "a\\*b*", "*\\\\b*", "*𐐀*"};
static const char *const networks[] = {"10.0.0.0/24", "10.0.0.1/32", "::/0",          "0.0.0.0/0", "::1/128",
                                       "10.0.0.0/29", "10.0.0.7/16", "::ffff:0:0/96", "fe80::/10", "10.0.0.01/0"};

#define COUNT(few, table) (unsigned)((few) ? 3 : sizeof(table) / sizeof *(table))
#define PICK(out, table) table[pick(out, COUNT((out)->few_values, table))]

static const char *pick_name(struct out *out) { return names[pick(out, COUNT(out->few_names, names))]; }

static void put_space(struct out *out) {
  static const char *const spaces[] = {"", "", "", "", " ", "\n\t", "  "};
  put(out, "%s", PICK(out, spaces));
}

static unsigned code_of(const char *text) {
  unsigned first = (unsigned char)*text, code = first < 0x80 ? first : first < 0xE0 ? first & 0x1F : first & 0x0F;
  if (first >= 0xF0) code = first & 0x07;
  for (size_t i = 1; i < character(text); i++) code = code << 6 | ((unsigned char)text[i] & 0x3F);
  return code;
}

static void put_escaped(struct out *out, unsigned code) {
  if (code < 0x10000)
    put(out, "\\u%04x", code);
  else
    put(out, "\\u%04x\\u%04X", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
}

/* A string; now and then its first character, or all, are escaped. */
static void put_text(struct out *out, const char *text) {
  unsigned style = pick(out, 16);
  put(out, "\"");
  for (bool first = true; *text; text += character(text), first = false) {
    if (style == 1 || (style == 2 && first))
      put_escaped(out, code_of(text));
    else if (strchr("\"\\", *text) || (style == 3 && *text == '/'))
      put(out, "\\%c", *text);
    else if (*text == '\n')
      put(out, "\\n");
    else
      put(out, "%.*s", (int)character(text), text);
  }
  put(out, "\"");
}

/* A string that is hard to skip: long, with quotes, backslashes and brackets anywhere in its blocks. */
static void put_trap(struct out *out) {
  static const char *const pieces[] = {"x", "{",       "}",    "[",    "]",
                                       ",", ":",       "\\\"", "\\\\", "\\\\\\\"",
                                       "é", "\\uD800", "a",    "\\t",  "0123456789abcdef0123456789abcdef"};
  put(out, "\"");
  for (unsigned i = is_full(out) ? 0 : pick(out, 24); i > 0; i--)
    put(out, "%s", pieces[pick(out, sizeof pieces / sizeof *pieces)]);
  put(out, "\"");
}

static void put_list(struct out *out, const char *const *table, unsigned count, bool quoted) {
  unsigned length = pick(out, 3);
  if (length > 0) put(out, "[");
  for (unsigned i = 0; i < (length ? length : 1); i++) {
    const char *text = table[pick(out, count)];
    if (i > 0) put(out, ",");
    if (quoted)
      put_text(out, *text ? text : "x");
    else
      put(out, "%s", text);
  }
  if (length > 0) put(out, "]");
}

#define PUT_LIST(out, table, quoted) put_list(out, table, COUNT((out)->few_values, table), quoted)

static void put_anything_but(struct out *out) {
  static const char *const operators[] = {"prefix", "suffix", "equals-ignore-case", "wildcard"};
  put(out, "{\"anything-but\":");
  unsigned choice = pick(out, 6);
  if (choice == 0) PUT_LIST(out, texts, true);
  if (choice == 1) PUT_LIST(out, plain_numbers, false);
  if (choice >= 2) {
    put(out, "{\"%s\":", operators[choice - 2]);
    if (choice == 5)
      PUT_LIST(out, wildcards, true);
    else
      PUT_LIST(out, texts, true);
    put(out, "}");
  }
  put(out, "}");
}

static void put_numeric(struct out *out) {
  static const char *const operators[] = {"=", "<", "<=", ">", ">="};
  unsigned choice = pick(out, 9);
  if (choice < 5)
    put(out, "{\"numeric\":[\"%s\",%s]}", operators[choice], PICK(out, plain_numbers));
  else
    put(out, "{\"numeric\":[\"%s\",%s%u,\"%s\",%u.5]}", choice & 1 ? ">" : ">=", choice < 7 ? "" : "-", pick(out, 3),
        pick(out, 2) ? "<" : "<=", 3 + pick(out, 98));
}

static void put_text_operator(struct out *out, const char *name) {
  put(out, "{\"%s\":", name);
  put_text(out, PICK(out, texts));
  put(out, "}");
}

static void put_fold_operator(struct out *out, const char *name) {
  put(out, "{\"%s\":", name);
  put_text_operator(out, "equals-ignore-case");
  put(out, "}");
}

static void put_expression(struct out *out) {
  switch (pick(out, 16)) {
    case 0:
      put_text_operator(out, "prefix");
      break;
    case 1:
      put_text_operator(out, "suffix");
      break;
    case 2:
      put_text_operator(out, "equals-ignore-case");
      break;
    case 3:
      put_fold_operator(out, "prefix");
      break;
    case 4:
      put_fold_operator(out, "suffix");
      break;
    case 5:
      put_anything_but(out);
      break;
    case 6:
      put_numeric(out);
      break;
    case 7:
      put(out, "{\"exists\":%s}", pick(out, 3) ? "false" : "true");
      break;
    case 8:
      put(out, "{\"cidr\":\"%s\"}", PICK(out, networks));
      break;
    case 9:
      put(out, "{\"wildcard\":");
      put_text(out, PICK(out, wildcards));
      put(out, "}");
      break;
    case 10:
      put_text_operator(out, "exactly");
      break;
    case 11:
      put(out, "%s", PICK(out, numbers));
      break;
    case 12:
      put(out, "%s", pick(out, 3) == 0 ? "null" : pick(out, 2) ? "true" : "false");
      break;
    default:
      put_text(out, PICK(out, texts));
  }
}

/* What is still owed when the text is full is as short as can be. */
static void put_field(struct out *out) {
  if (is_full(out)) {
    put(out, "[1]");
    return;
  }
  unsigned count = 1 + pick(out, 5);
  put(out, "[");
  for (unsigned i = 0; i < count; i++) {
    if (i > 0) put(out, ",");
    put_space(out);
    put_expression(out);
  }
  put(out, "]");
}

static void put_pattern(struct out *out, int depth);

static void put_or(struct out *out, int depth) {
  unsigned count = 2 + pick(out, 2);
  put(out, "\"$or\":[");
  for (unsigned i = 0; i < count; i++) {
    if (i > 0) put(out, ",");
    put_pattern(out, depth + 1);
  }
  put(out, "]");
}

static void put_pattern(struct out *out, int depth) {
  unsigned count = is_full(out) ? 1 : 1 + pick(out, depth == 0 ? 3 : 2);
  put(out, "{");
  for (unsigned i = 0; i < count; i++) {
    if (i > 0) put(out, ",");
    put_space(out);
    if (depth < 2 && !is_full(out) && pick(out, 8) == 1) {
      put_or(out, depth);
      continue;
    }
    put_text(out, pick_name(out));
    put(out, ":");
    if (depth < 3 && !is_full(out) && pick(out, 3) == 1)
      put_pattern(out, depth + 1);
    else
      put_field(out);
  }
  put(out, "}");
}

void match_generate_pattern(struct match_choices *choices, char *text) {
  struct out out = {.choices = choices, .text = text};
  unsigned choice = pick(&out, 4);
  out.few_names = choice > 0;
  out.few_values = choice > 1;
  put_pattern(&out, 0);
}

static void put_object(struct out *out, int depth);

/* A value that no pattern reads. */
static void put_unread(struct out *out) {
  unsigned depth = pick(out, 4);
  for (unsigned i = 0; i < depth; i++) put(out, i % 2 ? "{\"x\": " : "[");
  put_trap(out);
  if (depth % 2 == 1) put(out, ", -1.5e3 ,");
  if (depth % 2 == 1) put_trap(out);
  while (depth-- > 0) put(out, depth % 2 ? " }" : "]");
}

static void put_value(struct out *out, int depth) {
  static const char *const words[] = {"true", "false", "null"};
  unsigned choice = is_full(out) || depth > 5 ? 5 + pick(out, 5) : pick(out, 10);
  put_space(out);
  if (choice < 3) {
    put_object(out, depth + 1);
  } else if (choice < 5) {
    unsigned count = pick(out, 4);
    put(out, "[");
    for (unsigned i = 0; i < count; i++) {
      if (i > 0) put(out, ",");
      put_value(out, depth + 1);
    }
    put_space(out);
    put(out, "]");
  } else if (choice < 7) {
    if (pick(out, 12) == 1)
      put_trap(out);
    else
      put_text(out, PICK(out, texts));
  } else if (choice < 9) {
    put(out, "%s", PICK(out, numbers));
  } else {
    put(out, "%s", PICK(out, words));
  }
  put_space(out);
}

static void put_object(struct out *out, int depth) {
  unsigned count = pick(out, 4) + (depth == 0) + out->few_names;
  put(out, "{");
  put_space(out);
  for (unsigned i = 0; i < count; i++) {
    if (i > 0) put(out, ",");
    put_space(out);
    if (pick(out, 8) == 1) {
      put(out, "\"unread\":");
      put_unread(out);
      continue;
    }
    put_text(out, pick_name(out));
    put_space(out);
    put(out, ":");
    put_value(out, depth);
  }
  put(out, "}");
}

void match_generate_event(struct match_choices *choices, char *text) {
  struct out out = {.choices = choices, .text = text};
  unsigned choice = pick(&out, 4);
  out.few_names = choice > 0;
  out.few_values = choice > 1;
  put_object(&out, 0);
}
