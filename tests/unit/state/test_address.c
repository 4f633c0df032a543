#include "fixture.h"
#include "state/state_internal.h"

static void test_bad_urls_are_refused_without_repeating_them(void **unused) {
  (void)unused;
  static const struct {
    const char *url, *code;
  } rows[] = {
      {NULL, "url"},
      {"", "url"},
      {"localhost:6379", "url"},                         /* no scheme */
      {"http://localhost", "url"},                       /* another scheme */
      {"redis://", "url"},                               /* no host */
      {"redis://:topsecret@", "url"},                    /* a password, but no host */
      {"redis://host:", "url"},                          /* a port that is none */
      {"redis://host:0", "url"},                         /* not a port */
      {"redis://host:65536", "url"},                     /* too large */
      {"redis://host:6379topsecret", "url"},             /* no number */
      {"redis://host/topsecret", "url"},                 /* no database */
      {"redis://host/-1", "url"},                        /* no database */
      {"redis://host?db=topsecret", "url"},              /* unix only */
      {"redis://[::1", "url"},                           /* bracket not closed */
      {"redis://:topsecret%2@host", "url"},              /* half an escape */
      {"redis://:topsecret%zz@host", "url"},             /* not hexadecimal */
      {"redis://:topsecret%00@host", "url"},             /* a NUL */
      {"redis://user:@host", "url"},                     /* an empty password would log in as nobody */
      {"unix://relative/redis.sock", "url"},             /* not absolute */
      {"unix:///", "url"},                               /* no path */
      {"unix:///redis.sock?database=topsecret", "url"},  /* unknown */
      {"redis+sentinel://:topsecret@one,two", "url"},    /* no master */
      {"redis+sentinel://:topsecret@one,two/", "url"},   /* a master without a name */
      {"redis+sentinel://:topsecret@one,,two/m", "url"}, /* a Sentinel without a name */
      {"redis+sentinel://:topsecret@one:x/m", "url"},    /* no port */
      {"redis+sentinel://:topsecret@one/m/x", "url"},    /* no database */
      {"redis+sentinel://1,2,3,4,5,6,7,8,9/m", "url"},   /* too many */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    struct state_options options = {.url = rows[i].url, .owner = "a"};
    assert_null(state_open(&options, &error));
    assert_int_equal(error.class, ERROR_INVALID);
    assert_string_equal(error.code, rows[i].code);
    assert_null(strstr(error.message, "topsecret"));
  }
}

static void test_good_urls(void **unused) {
  (void)unused;
  static const struct {
    const char *url, *host, *path, *user, *password;
    int port, database;
    const char *text;
  } rows[] = {
      {"redis://cache", "cache", NULL, NULL, NULL, 6379, 0, "redis://cache:6379/0"},
      {"redis://cache/", "cache", NULL, NULL, NULL, 6379, 0, "redis://cache:6379/0"},
      {"redis://cache:7000/3", "cache", NULL, NULL, NULL, 7000, 3, "redis://cache:7000/3"},
      {"redis://:p%40ss:w@rd@cache", "cache", NULL, NULL, "p@ss:w@rd", 6379, 0, "redis://cache:6379/0"},
      {"redis://me:secret@cache:1", "cache", NULL, "me", "secret", 1, 0, "redis://cache:1/0"},
      {"redis://[::1]:7000", "::1", NULL, NULL, NULL, 7000, 0, "redis://::1:7000/0"},
      {"redis://[::1]", "::1", NULL, NULL, NULL, 6379, 0, "redis://::1:6379/0"},
      {"unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, 0, "unix:///run/redis.sock?db=0"},
      {"unix://:secret@/run/r%20s?db=5", NULL, "/run/r s", NULL, "secret", 0, 5, "unix:///run/r s?db=5"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct state_address address;
    OK(state_address_parse(&address, rows[i].url, &error));
    const char *const got[] = {address.host, address.path, address.user, address.password, address.text};
    const char *const want[] = {rows[i].host, rows[i].path, rows[i].user, rows[i].password, rows[i].text};
    for (size_t j = 0; j < 5; j++) {
      assert_int_equal(!got[j], !want[j]);
      if (want[j]) assert_string_equal(got[j], want[j]);
    }
    assert_int_equal(address.port, rows[i].port);
    assert_int_equal(address.database, rows[i].database);
    state_address_free(&address);
  }
}

static void test_sentinels(void **unused) {
  (void)unused;
  struct state_address address;
  OK(state_address_parse(&address, "redis+sentinel://me:pw@one,two:7,[::1]:9/my%20master/3", &error));
  static const struct {
    const char *host;
    int port;
  } hosts[] = {{"one", 26379}, {"two", 7}, {"::1", 9}};
  assert_int_equal(address.sentinel_count, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(address.sentinels[i].host, hosts[i].host);
    assert_int_equal(address.sentinels[i].port, hosts[i].port);
  }
  assert_string_equal(address.master, "my master");
  assert_string_equal(address.user, "me");
  assert_string_equal(address.password, "pw");
  assert_int_equal(address.database, 3);
  assert_string_equal(address.text, "redis+sentinel://one:26379/my master/3");
  assert_null(address.host);
  state_address_free(&address);
}

static void test_options_out_of_range(void **unused) {
  (void)unused;
  const struct state_options rows[] = {
      {.url = "redis://h", .owner = "a", .timeout_ms = -1},
      {.url = "redis://h", .owner = "a", .timeout_ms = 60001},
      {.url = "redis://h", .owner = ""},
      {.url = "redis://h", .owner = NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    assert_null(state_open(&rows[i], &error));
    assert_int_equal(error.class, ERROR_INVALID);
  }
}
