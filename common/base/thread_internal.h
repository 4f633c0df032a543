/* Private to base: how its threads are started. */
#ifndef PARAPET_BASE_THREAD_INTERNAL_H
#define PARAPET_BASE_THREAD_INTERNAL_H

#include <pthread.h>
#include <signal.h>

/* Threads inherit the signal mask: with everything blocked while they start, signals reach the program's own threads
 * only.  What a thread causes itself (SIGSEGV and the like) stays open. */
static inline void thread_block_signals(sigset_t *before) {
  sigset_t all;
  sigfillset(&all);
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF};
  for (unsigned i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
  pthread_sigmask(SIG_SETMASK, &all, before);
}

static inline void thread_restore_signals(const sigset_t *before) { pthread_sigmask(SIG_SETMASK, before, NULL); }

#endif
