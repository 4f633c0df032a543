/* EventBridge event patterns, matched on the raw bytes of an event.
 * (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html)
 *
 * match_add() validates one pattern; match_build() makes one immutable set of all of them; match_run() answers, for
 * the raw JSON text of one event, which patterns match.  A set is read by any number of threads; each thread brings
 * its own match_scratch.  Replacing a set (playbooks changed) is the caller's atomic swap.
 *
 * The language: exact strings, numbers, true, false, null; prefix and suffix (also with equals-ignore-case inside),
 * equals-ignore-case, wildcard, exactly, numeric, exists, cidr; anything-but with a string, a number, a list of either,
 * or prefix, suffix, equals-ignore-case, wildcard with a string or a list; $or.  The meaning is event-ruler's:
 *   - A path is its keys joined by dots: {"a": {"b": …}} and {"a.b": …} are the same, in patterns and in events.
 *   - A field is met by any value at its path, arrays (also nested ones) included; fields of one array of objects must
 *     be met inside the same element.  Where a key is repeated in an event, each of its values counts.
 *   - In a pattern, a path given twice in one conjunction means what its last one says.
 *   - anything-but holds for every value that is none of those listed, numbers, null and booleans included; it does
 *     not hold where there is no value.  exists sees leaves only: {} and [] are no values, null is one.
 *   - A string that is an IP address stands for the address, however an event spells it; {"exactly": …} does not.
 *   - Case is ignored by each character's own lower and upper case (Unicode, no language).
 *   - $or is the conjunction word only where its value is a list of objects that are not match expressions; else it
 *     is a field of that name.  Inside $or no field may have the name of an operator.
 *
 * Where it differs from event-ruler 2.0.1, by rule:
 *   1. Numbers are compared by their decimal value, exactly.  event-ruler compares what a binary64 holds exactly and
 *      takes other numbers (12345678901234567891) as text.  In numeric and anything-but a number outside binary64's
 *      range is refused; a plain value may have any size.
 *   2. IPv6 networks never hold IPv4 addresses and the other way round, ::/0 and ::ffff:0:0/96 included; an
 *      IPv4-mapped address is an IPv6 address.  A CIDR never matches a number.  /32 and /128 are valid.  IPv6 may end
 * in IPv4 notation.
 *   3. {"exists": false} asks whether a value at the path agrees, by array elements, with the values that meet all
 *      other fields; in event-ruler only with those of fields that come earlier in the alphabet.
 *   4. Ranges may reach to the limits of binary64.
 *   5. An empty list in anything-but, in any form, is an error.
 *   6. Text behind the pattern is an error; so is a backslash in a wildcard before anything but * or \.
 *   7. A character outside the Basic Multilingual Plane has its case ignored like any other; a titlecase letter accepts
 *      itself, too.
 *
 *   8. An empty key is a step like any other: {"": {"b": …}} is the path ".b", in event-ruler it is "b".
 *   9. Operators of strings never meet a number; in event-ruler, suffix and wildcard see the bytes of its encoding.
 *  10. A field of the name $or goes together with every operator and with $or as a word; event-ruler reads such a
 *      pattern with an older compiler that knows fewer of them.
 *  11. Each alternative, and each branch of $or, is judged as if it stood alone.  event-ruler's automaton now and then
 *      errs where several share a path: a wildcard with a suffix that ignores case, anything-but in one branch of $or
 *      and a prefix in another, false beside a range.
 *
 * Ceilings: match_internal.h.  Nothing in a set grows faster than its patterns' text ($or apart, which is limited), so
 * wildcards cannot explode; what passes a ceiling is refused with an error that says which. */
#ifndef PARAPET_MATCH_MATCH_H
#define PARAPET_MATCH_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct match_builder;
struct match_set;
struct match_scratch;

struct match_builder *match_builder_open(void); /* NULL: out of memory */
/* Adds a pattern (JSON text) under `id`; one id may have several patterns (any of them matches).  0, or -1 with *error
 * (ERROR_INVALID; the message names the path inside the pattern, what is wrong, and line and column where the text
 * itself is broken).  A refused pattern leaves the builder as it was. */
int match_add(struct match_builder *builder, uint32_t id, const char *pattern, size_t length, struct error *error);
/* NULL with *error when the set would be too complex (ERROR_INVALID) or memory ran out.  Frees the builder. */
struct match_set *match_build(struct match_builder *builder, struct error *error);
void match_builder_free(struct match_builder *builder);
void match_set_free(struct match_set *set);
size_t match_set_memory(const struct match_set *set); /* bytes */

struct match_scratch *match_scratch_open(void);
void match_scratch_free(struct match_scratch *scratch);

/* Runs one event.  Returns the number of distinct ids that match, with *ids pointing into scratch (ascending, valid
 * until its next use); or -1 with *error: ERROR_INVALID when the bytes are not a JSON object, the event is deeper than
 * 256, or its arrays with repeated keys would take too long to compare; ERROR_FATAL when memory ran out.
 *
 * JSON is checked as far as it is read.  Values that no pattern uses are skipped: of them, only that strings end and
 * brackets balance is seen.  The walk stops as soon as no pattern can match any more (a value that all need, say
 * `source`, met none of them; or each pattern's most telling value came and met none), or when all values that patterns
 * ask for have come: what is left is only searched for a key that could repeat one of those.  Where a key of theirs is
 * found in it, the rest is skipped as above, or walked.
 * Whoever wants whole JSON checks that before (collectors do).  Nothing is allocated once a scratch has seen the set
 * and an event as demanding as this one. */
int match_run(const struct match_set *set, struct match_scratch *scratch, const char *event, size_t length,
              const uint32_t **ids, struct error *error);

/* 0: no pattern matches, whatever the event's JSON is like; 1: it has to be run to know.  Much quicker than
 * match_run(): it looks for the strings that the rarest fields of the patterns ask for.  Of the event's JSON it sees
 * that strings end and that brackets balance at its end and not deeper than 256: what is otherwise is for match_run()
 * to refuse. Any number of threads. */
bool match_may(const struct match_set *set, const char *event, size_t length);

/* ---- for a person who asks why ---- */

struct match_reason {
  char *path;   /* of the first field, in the pattern's order, that is not met: "detail.eventName" */
  char *wanted; /* its list of values, as the pattern writes it */
  char *had;    /* JSON list of the values that the event has there, as it writes them, the first MATCH_REASON_VALUES */
  size_t had_count; /* all of them; 0: the path has no value */
  int apart;        /* it is met on its own, but not together with the fields before it (elements of one array) */
};
#define MATCH_REASON_VALUES 20

/* Why does the pattern not match?  1: it does; 0 with *reason, which the caller clears; -1 with *error as from
 * match_add() and match_run().  Where $or multiplies out to several rules, the reason is that of the one that gets
 * furthest (of the first 64).  Slow: for each field it compiles and runs the pattern up to there. */
int match_explain(const char *pattern, size_t length, const char *event, size_t event_length,
                  struct match_reason *reason, struct error *error);
void match_reason_clear(struct match_reason *reason); /* zeroed, or filled by match_explain() */

#endif
