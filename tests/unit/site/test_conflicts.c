/* Guardrails that want different things of one resource: both are refused, and both are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/playbook.h"

#include <cmocka.h>

static const char resource[] =
    "resource: ec2.instance\nscope: region\nid: InstanceId\narn: \"arn:x:${$id}\"\n"
    "list: {call: ec2.DescribeInstances, items: \"Reservations[].Instances[]\"}\n"
    "get: {call: ec2.DescribeInstances, items: \"Reservations[].Instances[]\"}\n";

static void write_file(const char *directory, const char *name, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void write_guardrail(const char *directory, const char *name, const char *modes, const char *steps) {
  char text[2048], file[64];
  snprintf(text, sizeof text,
           "guardrail: %s\nversion: 1\ntitle: t\nseverity: low\nwhy: w\nfix: f\nresource: ec2.instance\n"
           "trigger: {schedule: rate(5 minutes)}\nfind: Bad\n%s\nbreaker: {actions: 1, within: 1m}\nremediate: %s\n"
           "tests:\n  - {name: a, resource: {InstanceId: i-1, Bad: true}, expect: finding}\n"
           "  - {name: b, resource: {InstanceId: i-1}, expect: nothing}\n",
           name, modes, steps);
  snprintf(file, sizeof file, "%s.yaml", name);
  write_file(directory, file, text);
}

/* "left" and "right" with these steps, and "other", which has nothing to do with them. */
static struct bundle *load(const char *left_modes, const char *left, const char *right_modes, const char *right) {
  static const char *const files[] = {"resource.yaml", "left.yaml", "right.yaml", "other.yaml"};
  char directory[] = "/tmp/parapet-test-XXXXXX", path[512];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  write_file(directory, "resource.yaml", resource);
  write_guardrail(directory, "left", left_modes, left);
  write_guardrail(directory, "right", right_modes, right);
  write_guardrail(directory, "other", "mode: {default: remediate}", "[{call: ec2.StopInstances, with: {A: 1}}]");
  struct bundle *bundle = bundle_load(directory, NULL, &error);
  assert_non_null(bundle);
  for (size_t i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, files[i]);
    assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(rmdir(directory), 0);
  return bundle;
}

#define CALL(with) "[{call: ec2.ModifyInstanceMetadataOptions, with: " with "}]"
#define REQUIRED CALL("{InstanceId: \"${$id}\", HttpTokens: required}")
#define OPTIONAL CALL("{InstanceId: \"${$id}\", HttpTokens: optional}")
#define EVERYWHERE "mode: {default: remediate}"

static void test_both_are_refused_and_named(void **state) {
  (void)state;
  static const struct {
    const char *left_modes, *left, *right_modes, *right;
  } rows[] = {
      {EVERYWHERE, REQUIRED, EVERYWHERE, OPTIONAL},
      {"mode: {prod: remediate, default: notify}", REQUIRED, EVERYWHERE, OPTIONAL},
      {EVERYWHERE, "[{each: $finding, as: one, do: " REQUIRED "}]", EVERYWHERE, OPTIONAL},
      {EVERYWHERE "\nscope: {regions: [eu-*]}", REQUIRED, EVERYWHERE "\nscope: {regions: [eu-west-1]}", OPTIONAL},
      {EVERYWHERE, CALL("{InstanceId: \"${$id}\", HttpPutResponseHopLimit: 1}"), EVERYWHERE,
       CALL("{InstanceId: \"${$id}\", HttpPutResponseHopLimit: 2}")},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct bundle *bundle = load(rows[i].left_modes, rows[i].left, rows[i].right_modes, rows[i].right);
    if (json_array_size(bundle->refused) != 2) fail_msg("row %zu: no conflict was seen", i);
    assert_string_equal(json_string_value(json_array_get(bundle->refused, 0)),
                        "left.yaml:1: guardrail \"left\" and \"right\" (right.yaml) want different things of one "
                        "ec2.instance: ec2.ModifyInstanceMetadataOptions; both are refused");
    assert_non_null(strstr(json_string_value(json_array_get(bundle->refused, 1)), "right.yaml:1: guardrail \"right\""));
    assert_null(bundle_guardrail(bundle, "left"));
    assert_null(bundle_guardrail(bundle, "right"));
    assert_non_null(bundle_guardrail(bundle, "other"));
    bundle_drop(bundle);
  }
}

static void test_what_goes_together_is_left_alone(void **state) {
  (void)state;
  static const struct {
    const char *left_modes, *left, *right_modes, *right;
  } rows[] = {
      {EVERYWHERE, REQUIRED, EVERYWHERE, REQUIRED},                /* the same wish */
      {EVERYWHERE, REQUIRED, "mode: {default: notify}", OPTIONAL}, /* one only tells */
      {"mode: {prod: remediate, default: notify}", REQUIRED, "mode: {dev: remediate, default: notify}", OPTIONAL},
      {EVERYWHERE "\nscope: {regions: [eu-west-1]}", REQUIRED, EVERYWHERE "\nscope: {regions: [us-east-1]}", OPTIONAL},
      {EVERYWHERE, REQUIRED, EVERYWHERE, CALL("{InstanceId: \"${$id}\", HttpEndpoint: disabled}")}, /* other options */
      {EVERYWHERE, REQUIRED, EVERYWHERE,
       CALL("{InstanceId: \"${$id}\", HttpTokens: \"${$params.tokens}\"}") "\nparams: {tokens: required}"}, /* cannot be
                                                                                                               known */
      {EVERYWHERE, "[{call: ec2.ModifyInstanceAttribute, with: {Attribute: userData, Value: a}}]", EVERYWHERE,
       "[{call: ec2.ModifyInstanceAttribute, with: {Attribute: kernel, Value: b}}]"}, /* different parts */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct bundle *bundle = load(rows[i].left_modes, rows[i].left, rows[i].right_modes, rows[i].right);
    if (json_array_size(bundle->refused) != 0)
      fail_msg("row %zu: %s", i, json_string_value(json_array_get(bundle->refused, 0)));
    assert_int_equal(bundle->guardrail_count, 3);
    bundle_drop(bundle);
  }
}

/* One switches on what the other switches off; who does both on the way wants neither. */
static void test_opposites(void **state) {
  (void)state;
  static const struct {
    const char *left, *right;
    int refused;
  } rows[] = {
      {"[{call: ec2.StartThings}]", "[{call: ec2.StopThings}]", 2},
      {"[{each: $finding, as: one, do: [{call: ec2.EnableSerialConsoleAccess}]}]",
       "[{call: ec2.DisableSerialConsoleAccess}]", 2},
      {"[{call: ec2.StopThings}, {call: ec2.StartThings}]", "[{call: ec2.StopThings}]", 0},
      {"[{call: ec2.StartThings}]", "[{call: ec2.StartThings}]", 0},
      {"[{call: ec2.StartThings}]", "[{call: rds.StopThings}]", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct bundle *bundle = load(EVERYWHERE, rows[i].left, EVERYWHERE, rows[i].right);
    if ((int)json_array_size(bundle->refused) != rows[i].refused)
      fail_msg("row %zu: %zu complaints", i, json_array_size(bundle->refused));
    bundle_drop(bundle);
  }
}
