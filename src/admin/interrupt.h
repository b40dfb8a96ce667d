/*
 * interrupt.h: long work that ends in order when the user presses Ctrl-C.
 */
#ifndef MAILFS_ADMIN_INTERRUPT_H
#define MAILFS_ADMIN_INTERRUPT_H

#include <stdatomic.h>

/* From now on SIGINT, SIGTERM and SIGHUP set the flag that this gives; a second one ends the
 * process at once. */
const atomic_bool *interrupt_catch(void);

#endif
