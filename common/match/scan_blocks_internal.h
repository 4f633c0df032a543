/* The scanner by blocks of 64 bytes, written once for vectors of any size: scan_sse2.c, scan_avx2.c and scan_avx512.c
 * include it behind the few instructions that differ.
 *
 * Structure is found as simdjson finds it (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019, section
 * 3.1): for 64 bytes, one bit a byte says where quotes, backslashes and brackets stand; escaped quotes are taken out; a
 * running exclusive-or over the quotes tells what lies inside strings; brackets outside are counted.  Only a block in
 * which the last bracket may close is looked at bracket by bracket.
 *
 * Words are found in the same walk: where a quote stands, and in front of it two bytes that a word has there.  The
 * blocks that have such quotes are noted, without a branch that the processor would have to guess, and looked at later.
 *
 * What the including file defines:
 *   NAME, NAME_TEXT    the scanner's
 *   NARROWER           the scanner that is given the rest of a string that fills no vector
 *   TARGET             the attribute of functions that use its instructions
 *   vector, flags      some bytes; one flag for each of them
 *   load, every        the vector that stands at a place; of one byte over and over
 *   fold               the vector with bit 0x20 set in all bytes
 *   equal, equal_in    flags where the bytes of two vectors are equal; where they are and another flag was set before
 *   at_most            flags where the left bytes are not greater
 *   either, bits       flags where one of two is set; flags as a number, the first byte's is the lowest bit
 *   prefix_xor         bit i: the exclusive-or of bits 0 … i */
#include <string.h>

#include "match/set_internal.h"

#define INLINE TARGET static inline __attribute__((always_inline))
#define NOINLINE TARGET static __attribute__((noinline))

enum { BLOCK = 64, VECTOR = sizeof(vector), PARTS = BLOCK / VECTOR };

/* ---- brackets ---- */

/* One bit for each byte of a block. */
struct masks {
  uint64_t quote, backslash, open, close;
};

/* What the blocks before it make of a block. */
struct scan_state {
  uint64_t escaped;   /* bit 0: its first byte is escaped */
  uint64_t in_string; /* all ones: it starts inside a string */
  int depth, most;    /* brackets open in front of it; that may be open at once */
};

INLINE uint64_t find(const char *block, char byte) {
  uint64_t found = 0;
  for (int i = 0; i < PARTS; i++) found |= (uint64_t)bits(equal(load(block + i * VECTOR), every(byte))) << i * VECTOR;
  return found;
}

/* '[' and '{', ']' and '}' differ in one bit. */
INLINE uint64_t find_bracket(const char *block, char curly) {
  uint64_t found = 0;
  for (int i = 0; i < PARTS; i++)
    found |= (uint64_t)bits(equal(fold(load(block + i * VECTOR)), every(curly))) << i * VECTOR;
  return found;
}

INLINE struct masks read_masks(const char *block) {
  return (struct masks){find(block, '"'), find(block, '\\'), find_bracket(block, '{'), find_bracket(block, '}')};
}

/* Which bytes are escaped: those behind an odd run of backslashes (simdjson's find_escaped). */
INLINE uint64_t find_escaped(uint64_t backslash, uint64_t *carry) {
  const uint64_t even = 0x5555555555555555ull;
  if (__builtin_expect(!(backslash | *carry), 1)) return 0;
  backslash &= ~*carry;
  uint64_t follows = backslash << 1 | *carry;
  uint64_t odd_starts = backslash & ~even & ~follows, sum;
  *carry = __builtin_add_overflow(odd_starts, backslash, &sum);
  uint64_t invert = sum << 1;
  return (even ^ invert) & follows;
}

enum { STAYS_OPEN = -1, TOO_DEEP = -2 };

/* Goes through the brackets of one block.  The bit that closes the container, or one of the above. */
INLINE int close_in_block(uint64_t open, uint64_t close, struct scan_state *state) {
  for (uint64_t both = open | close; both; both &= both - 1) {
    int bit = __builtin_ctzll(both);
    if (open >> bit & 1) {
      if (++state->depth > state->most) return TOO_DEEP;
    } else if (--state->depth == 0) {
      return bit;
    }
  }
  return STAYS_OPEN;
}

/* What a block adds.  As close_in_block. */
INLINE int take_block(const struct masks *masks, struct scan_state *state) {
  uint64_t quote = masks->quote & ~find_escaped(masks->backslash, &state->escaped);
  uint64_t inside = prefix_xor(quote) ^ state->in_string;
  state->in_string = (uint64_t)((int64_t)inside >> 63);
  uint64_t open = masks->open & ~inside, close = masks->close & ~inside;
  int opened = __builtin_popcountll(open), closed = __builtin_popcountll(close);
  if (__builtin_expect(closed >= state->depth || state->depth + opened > state->most, 0))
    return close_in_block(open, close, state);
  state->depth += opened - closed;
  return STAYS_OPEN;
}

TARGET static const char *skip_container(const char *at, const char *end, int depth) {
  struct scan_state state = {.depth = 1, .most = depth + 1};
  char last[BLOCK];
  for (; at < end; at += BLOCK) {
    bool whole = end - at >= BLOCK;
    if (!whole) memcpy(memset(last, ' ', BLOCK), at, (size_t)(end - at));
    struct masks masks = read_masks(whole ? at : last);
    int bit = take_block(&masks, &state);
    if (bit != STAYS_OPEN) return bit == TOO_DEEP ? NULL : at + bit + 1;
  }
  return NULL;
}

/* ---- words ---- */

enum outcome { GOES_ON, CLOSES, STOPS, COUNTS }; /* CLOSES: by the text's last byte; COUNTS: a word, or a \u */

/* BEFORE bytes in front of a block are read, too.  A stretch is as many blocks as are walked through before the words
 * in them are looked at. */
enum { BEFORE = MATCH_MARK, STRETCH = 32 };

struct walk {
  const char *text;
  ptrdiff_t length;
  const struct match_words *words;
  struct scan_state state;
  enum outcome outcome;
  vector first[MATCH_WORDS], second[MATCH_WORDS]; /* of each word, the bytes that stand words->mark before its quote */
  uint32_t noted;                                 /* blocks of a stretch … */
  ptrdiff_t blocks[STRETCH];                      /* … where they stand in the text … */
  uint64_t quotes[STRETCH];                       /* … and their quotes behind such bytes */
};

typedef void walk_stretch(struct walk *walk, const char *text, ptrdiff_t at, ptrdiff_t stop);

INLINE void begin(struct walk *walk, const char *text, const char *end, const struct match_words *words, int most) {
  walk->text = text;
  walk->length = end - text;
  walk->words = words;
  walk->state = (struct scan_state){.most = most};
  walk->outcome = GOES_ON;
  for (uint32_t i = 0; i < words->count; i++) {
    const char *mark = words->list[i].text + words->list[i].length - words->mark;
    walk->first[i] = every(mark[0]);
    walk->second[i] = every(mark[1]);
  }
}

/* The quotes that may have a word in front. */
INLINE uint64_t find_words(const struct walk *walk, const char *block, uint32_t count, uint32_t mark) {
  uint64_t found = 0;
  for (int i = 0; i < PARTS; i++, block += VECTOR) {
    vector first = load(block - mark), second = load(block - mark + 1);
    flags quotes = equal(load(block), every('"')), any = {0};
#pragma GCC unroll 4
    for (uint32_t w = 0; w < MATCH_WORDS; w++) {
      if (w == count) break;
      any = either(any, equal_in(equal_in(quotes, first, walk->first[w]), second, walk->second[w]));
    }
    found |= (uint64_t)bits(any) << i * VECTOR;
  }
  return found;
}

/* Does a \u begin here?  Mostly there is no backslash. */
INLINE bool has_escape(const char *block, uint64_t backslash, bool last) {
  if (!backslash) return false;
  if (backslash >> (BLOCK - 1) && !last && block[BLOCK] == 'u') return true;
  return backslash & find(block, 'u') >> 1;
}

/* Through the blocks from `at` to `stop` of the text, or of a copy of its first bytes. */
INLINE void walk_blocks(struct walk *walk, const char *text, ptrdiff_t at, ptrdiff_t stop, bool brackets) {
  struct scan_state state = walk->state;
  const uint32_t count = walk->words->count, mark = walk->words->mark;
  uint32_t noted = 0;
  for (int bit = STAYS_OPEN; at < stop && bit == STAYS_OPEN; at += BLOCK) {
    const bool last = at + BLOCK == walk->length;
    struct masks masks = read_masks(text + at);
    uint64_t quotes = find_words(walk, text + at, count, mark);
    walk->blocks[noted] = at;
    walk->quotes[noted] = quotes;
    noted += quotes != 0;
    if (has_escape(text + at, masks.backslash, last)) {
      walk->outcome = COUNTS;
      break;
    }
    if (!brackets) continue;
    bit = take_block(&masks, &state);
    if (bit != STAYS_OPEN) walk->outcome = bit == BLOCK - 1 && last ? CLOSES : STOPS;
  }
  walk->noted = noted;
  walk->state = state;
}

/* Not inlined: what stays the same from block to block stays in registers here. */
NOINLINE void walk_all(struct walk *walk, const char *text, ptrdiff_t at, ptrdiff_t stop) {
  walk_blocks(walk, text, at, stop, true);
}

NOINLINE void walk_words(struct walk *walk, const char *text, ptrdiff_t at, ptrdiff_t stop) {
  walk_blocks(walk, text, at, stop, false);
}

/* Does one of the words count that may end in the blocks noted? */
INLINE bool one_counts(const struct walk *walk, match_word_counts *counts, const void *context) {
  for (uint32_t i = 0; i < walk->noted; i++)
    for (uint64_t quotes = walk->quotes[i]; quotes; quotes &= quotes - 1) {
      const char *quote = walk->text + walk->blocks[i] + __builtin_ctzll(quotes);
      if (match_word_ends(walk->text, quote, walk->words) &&
          (!counts || counts(context, quote + 1, walk->text + walk->length)))
        return true;
    }
  return false;
}

/* The blocks are so laid that the last one ends where the text ends.  The first one, and a second that has too little
 * in front of it, are read in a copy that has spaces there.  Each word counts if `counts` is NULL. */
INLINE enum outcome walk_text(struct walk *walk, walk_stretch *stretch, match_word_counts *counts,
                              const void *context) {
  enum { COPIED = BLOCK + BEFORE };
  const ptrdiff_t length = walk->length;
  char spaces[2 * COPIED], *copy = spaces + COPIED;
  memset(spaces, ' ', COPIED);
  if (length < COPIED)
    memcpy(copy, walk->text, (size_t)length);
  else
    memcpy(copy, walk->text, COPIED); /* of a size that the compiler knows */
  for (ptrdiff_t at = -(-length & (BLOCK - 1)), stop; at < length && walk->outcome == GOES_ON; at = stop) {
    stop = at < BEFORE ? at + BLOCK : at + STRETCH * BLOCK;
    if (stop > length) stop = length;
    stretch(walk, at < BEFORE ? copy : walk->text, at, stop);
    if (one_counts(walk, counts, context)) return COUNTS;
  }
  return walk->outcome;
}

TARGET static bool has_word(const char *at, const char *end, const struct match_words *words) {
  struct walk walk;
  begin(&walk, at, end, words, 0);
  return walk_text(&walk, walk_words, NULL, NULL) == COUNTS;
}

TARGET static bool passes_over(const char *event, const char *end, int depth, const struct match_words *words,
                               match_word_counts *counts, const void *context) {
  struct walk walk;
  begin(&walk, event, end, words, depth + 1);
  return walk_text(&walk, walk_all, counts, context) == CLOSES;
}

/* ---- strings ---- */

TARGET static const char *string_stop(const char *at, const char *end) {
  for (; end - at >= VECTOR; at += VECTOR) {
    vector bytes = load(at);
    flags stops = either(either(equal(bytes, every('"')), equal(bytes, every('\\'))), at_most(bytes, every(0x1F)));
    uint64_t found = bits(stops);
    if (found) return at + __builtin_ctzll(found);
  }
  return NARROWER.string_stop(at, end);
}

const struct match_scan NAME = {NAME_TEXT, string_stop, skip_container, has_word, passes_over};
