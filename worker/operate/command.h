/* Commands of operators, as they travel on parapet.commands:
 *
 *   {id, verb, arguments, created, expires, by, proof}     proof: aws/identity.h
 *
 * A worker checks it, carries it out once, and writes how far it is to Redis (parapet:v1:command:<id>), where whoever
 * sent it waits.  Each one, refused or not, is recorded in parapet.actions (kind "operator"). */
#ifndef PARAPET_OPERATE_COMMAND_H
#define PARAPET_OPERATE_COMMAND_H

#include "json/value.h"

enum { COMMAND_BYTES = 65536, COMMAND_LIFE_MS = 5 * 60 * 1000, COMMAND_KEPT_MS = 3600 * 1000 };

/* A new command without proof.  arguments: takes. */
json_t *command_new(const char *verb, json_t *arguments, const char *by);
/* What a proof of the command is bound to: SHA-256 over all of it but the proof. */
void command_hash(const json_t *command, char hash[65]);
/* NULL when it is one; else why not (static text).  now_ms: wall. */
const char *command_check(const json_t *command, int64_t now_ms);

#endif
