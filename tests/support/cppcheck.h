/* What cppcheck must know of macros whose headers it does not read, and of a word that it takes for C++'s operator.
 * Nothing is compiled with this file. */
#ifndef PARAPET_TESTS_SUPPORT_CPPCHECK_H
#define PARAPET_TESTS_SUPPORT_CPPCHECK_H

#define not not_

#define json_array_foreach(array, index, value) \
  for ((index) = 0; (index) < json_array_size(array) && ((value) = json_array_get((array), (index))); (index)++)
#define json_object_foreach(object, key, value)                                                                  \
  for ((key) = json_object_iter_key(json_object_iter(object)); (key) && ((value) = json_object_iter_value(key)); \
       (key) = json_object_iter_key(json_object_iter_next((object), (key))))
#define json_object_foreach_safe(object, next, key, value)                                                      \
  for ((key) = json_object_iter_key(json_object_iter(object)), (next) = json_object_iter_next((object), (key)); \
       (key) && ((value) = json_object_iter_value(key));                                                        \
       (key) = json_object_iter_key(next), (next) = json_object_iter_next((object), (key)))

#endif
