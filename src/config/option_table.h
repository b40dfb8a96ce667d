/*
 * option_table.h: what each option behind mailfs' -o means.
 */
#ifndef MAILFS_CONFIG_OPTION_TABLE_H
#define MAILFS_CONFIG_OPTION_TABLE_H

#include "config/mount_options.h"

/* Takes one unescaped option into *options: sets a field, hands it on to the kernel mount, or
 * swallows what is meant for others. What is unknown goes to backend_options. -EINVAL with
 * *ret_message when a value is wrong; -ENOMEM. */
int option_table_take(struct mount_options *options, const char *option, char **ret_message);

#endif
