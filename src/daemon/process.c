#include <config.h>
#include "daemon/process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/log.h"

/* RocksDB keeps its tables open and every cached body that is read is a file. */
#define WANTED_OPEN_FILES 65536

/* Every program on the mount hangs without us, so others go first; -1000 would be never. */
#define OOM_SCORE_ADJUSTMENT "-500\n"

static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= WANTED_OPEN_FILES)
		return;
	limit.rlim_cur = WANTED_OPEN_FILES;
	if (limit.rlim_max < WANTED_OPEN_FILES) {
		struct rlimit raised = {WANTED_OPEN_FILES, WANTED_OPEN_FILES};

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			return;
		limit.rlim_cur = limit.rlim_max;
	}
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_debug("the limit of open files stays as it was");
}

static void lower_oom_score(void)
{
	CLEANUP_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (geteuid() != 0 || fd < 0)
		return;
	if (write(fd, OOM_SCORE_ADJUSTMENT, strlen(OOM_SCORE_ADJUSTMENT)) < 0)
		log_debug("the OOM score stays as it was");
}

void process_prepare(void)
{
	(void)umask(077);
	raise_open_files();
	lower_oom_score();
}
