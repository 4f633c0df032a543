/* Models: the loader against damaged files, and the compiled models of `make models`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "aws/models.h"
#include "aws/reference.h"

static struct aws_service *load_text(const char *text, struct error *error) {
  int file = memfd_create("model", MFD_CLOEXEC);
  assert_int_equal(write(file, text, strlen(text)), (int)strlen(text));
  assert_int_equal(lseek(file, 0, SEEK_SET), 0);
  return aws_service_load("test", file, error);
}

static void test_damaged_models_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",                                /* nothing */
      "garbage\n",                       /* no words */
      "metadata -\n",                    /* no JSON */
      "metadata - {\n",                  /* no JSON object */
      "metadata - []\n",                 /* metadata of another type */
      "operation A {}\nshape B {}\n",    /* no metadata */
      "metadata - {}\nshape OnlyName\n", /* a cut line */
      "shape A {}\nmetadata - {}",       /* without its end */
  };
  for (size_t i = 0; i < TIMES(texts); i++) {
    struct error error = {0};
    assert_null(load_text(texts[i], &error));
    assert_int_equal(error.class, ERROR_INVALID);
  }
}

static void test_broken_pieces_are_errors_not_crashes(void **state) {
  (void)state;
  static const char text[] =
      "metadata - {\"protocol\":\"json\"}\n"
      "operation NotAnObject []\n"
      "operation NoShape {\"input\":{}}\n"
      "operation Lost {\"input\":{\"shape\":\"Nowhere\"}}\n"
      "operation Odd {\"input\":{\"shape\":\"OddType\"}}\n"
      "operation List {\"input\":{\"shape\":\"ListOfNothing\"}}\n"
      "operation Member {\"input\":{\"shape\":\"BadMember\"}}\n"
      "shape OddType {\"type\":\"polygon\"}\n"
      "shape ListOfNothing {\"type\":\"list\"}\n"
      "shape BadMember {\"type\":\"structure\",\"members\":{\"a\":1}}\n"
      "unknown kind {}\n";
  struct error error = {0};
  struct aws_service *service = load_text(text, &error);
  assert_non_null(service);
  assert_null(aws_service_operation(service, "NotAnObject", &error));
  assert_null(aws_service_operation(service, "NoShape", &error));
  static const char *const names[] = {"Lost", "Odd", "List", "Member"};
  for (size_t i = 0; i < TIMES(names); i++) {
    const struct aws_operation *operation = aws_service_operation(service, names[i], &error);
    struct aws_request request;
    assert_non_null(operation);
    error_clear(&error);
    assert_int_equal(aws_serialize(service, operation, NULL, &request, &error), -1);
    assert_int_equal(error.class, ERROR_FATAL);
  }
  aws_service_free(service);
}

static void test_no_models_is_said_plainly(void **state) {
  (void)state;
  struct error error = {0};
  assert_null(aws_models_open("/nowhere", &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_non_null(strstr(error.message, "make models"));
}

/* A models directory with one service whose file is cut off in the middle. */
static void refuse_cut_off(off_t cut) {
  char directory[] = "/tmp/parapet-models-XXXXXX", path[64];
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/services.txt", directory);
  FILE *file = fopen(path, "w");
  fputs("cut\n", file);
  fclose(file);
  snprintf(path, sizeof path, "%s/cut.model", directory);
  file = fopen(path, "w");
  for (int i = 0; i < 2000; i++) fprintf(file, "shape S%04d {\"type\":\"string\"}\n", i);
  fputs("metadata - {\"protocol\":\"json\"}\n", file);
  fclose(file);
  assert_int_equal(truncate(path, cut), 0);
  struct error error = {0};
  struct aws_models *models = aws_models_open(directory, &error);
  assert_non_null(models);
  assert_null(aws_models_service(models, "cut", &error));
  assert_int_equal(error.class, ERROR_INVALID);
  aws_models_close(models);
  unlink(path);
  snprintf(path, sizeof path, "%s/services.txt", directory);
  unlink(path);
  rmdir(directory);
}

static void test_truncated_files_are_refused(void **state) {
  (void)state;
  refuse_cut_off(1000);           /* within a line */
  refuse_cut_off(28 * (off_t)10); /* behind one */
  refuse_cut_off(0);
}

/* What is not there any more when it is asked for is an error of that call alone. */
static void test_a_file_that_shrinks_is_no_crash(void **state) {
  (void)state;
  static const char text[] =
      "operation A {\"name\":\"A\"}\noperation B {\"name\":\"B\"}\nmetadata - {\"protocol\":\"json\"}\n";
  struct error error = {0};
  int file = memfd_create("model", MFD_CLOEXEC);
  assert_int_equal(write(file, text, sizeof text - 1), (int)sizeof text - 1);
  lseek(file, 0, SEEK_SET);
  int ours = dup(file);
  struct aws_service *service = aws_service_load("test", file, &error);
  assert_non_null(service);
  assert_non_null(aws_service_operation(service, "A", &error));
  assert_int_equal(ftruncate(ours, 30), 0);
  assert_null(aws_service_operation(service, "B", &error));
  assert_int_equal(error.class, ERROR_FATAL);
  assert_non_null(aws_service_operation(service, "A", &error));
  aws_service_free(service);
  close(ours);
}

static void test_of_two_equal_pieces_the_first_counts(void **state) {
  (void)state;
  struct error error = {0};
  struct aws_service *service =
      load_text("shape A {\"min\":1}\nshape B {}\nshape A {\"min\":2}\nmetadata - {\"protocol\":\"json\"}\n", &error);
  assert_non_null(service);
  assert_int_equal(json_integer_value(json_object_get(aws_service_shape(service, "A"), "min")), 1);
  assert_non_null(aws_service_shape(service, "B"));
  aws_service_free(service);
}

static void test_names_are_suggested(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  struct error error = {0};
  assert_null(aws_models_service(models, "ecc2", &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_non_null(strstr(error.message, "\"ec2\""));
  const struct aws_service *ec2 = aws_models_service(models, "ec2", &error);
  assert_non_null(ec2);
  assert_null(aws_service_operation(ec2, "DescribeSecurityGroup", &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_non_null(strstr(error.message, "\"DescribeSecurityGroups\""));
  aws_models_close(models);
}

static void test_pieces_of_a_service(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  struct error error = {0};
  const struct aws_service *iam = aws_models_service(models, "iam", &error);
  assert_non_null(iam);
  assert_string_equal(aws_service_name(iam), "iam");
  assert_string_equal(json_string_value(json_object_get(aws_service_metadata(iam), "serviceId")), "IAM");
  assert_non_null(aws_service_ruleset(iam));
  assert_non_null(aws_service_paginator(iam, "ListUsers"));
  assert_null(aws_service_paginator(iam, "GetUser"));
  assert_non_null(aws_service_waiter(iam, "RoleExists"));
  assert_non_null(aws_service_shape(iam, "User"));
  assert_null(aws_service_shape(iam, "Nothing"));
  const struct aws_operation *list = aws_service_operation(iam, "ListUsers", &error);
  assert_string_equal(json_string_value(json_object_get(aws_operation_definition(list), "name")), "ListUsers");
  assert_ptr_equal(list, aws_service_operation(iam, "ListUsers", &error));
  assert_non_null(json_object_get(aws_models_partitions(models, &error), "partitions"));
  aws_models_close(models);
}

/* The sdk-extras of paginators are merged: they name non-aggregate keys that the model itself does not. */
static void test_paginators_have_their_extras(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  const struct aws_service *lambda = aws_models_service(models, "lambda", NULL);
  assert_non_null(lambda);
  assert_non_null(json_object_get(aws_service_paginator(lambda, "ListFunctions"), "result_key"));
  const struct aws_service *rekognition = aws_models_service(models, "securityhub", NULL);
  assert_non_null(json_object_get(aws_service_paginator(rekognition, "GetFindings"), "result_key"));
  aws_models_close(models);
}

/* Every operation of every service compiles, input and output too: nothing in the models is beyond the loader. */
static void test_every_operation_compiles(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  char path[300], name[128];
  size_t operations = 0, services = 0;
  snprintf(path, sizeof path, "%s/services.txt", test_models_directory());
  FILE *file = fopen(path, "r");
  while (fscanf(file, "%127s", name) == 1) {
    struct error error = {0};
    const struct aws_service *service = aws_models_service(models, name, &error);
    assert_non_null(service);
    services++;
    const char **names = aws_service_names(service, AWS_PIECE_OPERATION);
    for (size_t i = 0; names[i]; i++, operations++) {
      const struct aws_operation *operation = aws_service_operation(service, names[i], &error);
      assert_non_null(operation);
      const struct aws_reference *input = aws_operation_input(operation), *output = aws_operation_output(operation);
      assert_true(!input || aws_resolve(service, input, &error));
      assert_true(!output || aws_resolve(service, output, &error));
    }
    free(names);
  }
  fclose(file);
  printf("%zu operations of %zu services\n", operations, services);
  assert_true(services > 400 && operations > 15000);
  aws_models_close(models);
}

static void *use_models(void *argument) {
  static const char *const names[] = {"ec2", "iam", "s3", "sts"};
  size_t fine = 0;
  for (size_t i = 0; i < TIMES(names); i++) {
    const struct aws_service *service = aws_models_service(argument, names[i], NULL);
    const char **operations = aws_service_names(service, AWS_PIECE_OPERATION);
    for (size_t j = 0; operations[j] && j < 60; j++) {
      const struct aws_operation *operation = aws_service_operation(service, operations[j], NULL);
      const struct aws_reference *input = aws_operation_input(operation);
      fine += !input || aws_resolve(service, input, NULL) != NULL;
    }
    free(operations);
  }
  return (void *)fine;
}

static void test_many_threads_load_at_once(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  pthread_t threads[8];
  void *fine;
  for (size_t i = 0; i < TIMES(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, use_models, models), 0);
  for (size_t i = 0; i < TIMES(threads); i++) {
    pthread_join(threads[i], &fine);
    assert_true((size_t)fine > 100);
  }
  aws_models_close(models);
}

/* Where a service offers several protocols, the first of ours counts; CBOR never does. */
static void test_protocols(void **state) {
  (void)state;
  static const struct {
    const char *metadata;
    enum aws_protocol protocol;
  } cases[] = {
      {"{}", AWS_PROTOCOL_NONE},
      {"{\"protocol\":\"smithy-rpc-v2-cbor\"}", AWS_PROTOCOL_NONE},
      {"{\"protocol\":\"ec2\"}", AWS_PROTOCOL_EC2},
      {"{\"protocol\":\"smithy-rpc-v2-cbor\",\"protocols\":[\"smithy-rpc-v2-cbor\",\"query\",\"json\"]}",
       AWS_PROTOCOL_JSON},
      {"{\"protocol\":\"query\",\"protocols\":[\"rest-xml\",\"query\"]}", AWS_PROTOCOL_QUERY},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    json_t *metadata = json_loads(cases[i].metadata, 0, NULL);
    assert_int_equal(aws_protocol_of(metadata), cases[i].protocol);
    json_decref(metadata);
  }
}
