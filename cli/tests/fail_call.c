/* Lets calls of one function of the C library fail, for tests: those of FAIL_CALL, from the FAIL_NTH on (the first is
   1), with the error FAIL_ERRNO. Writing to standard output or standard error does not fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static int fails(const char *function) {
    static int calls;
    const char *chosen = getenv("FAIL_CALL");
    if (!chosen || strcmp(chosen, function) != 0 || __sync_add_and_fetch(&calls, 1) < atoi(getenv("FAIL_NTH")))
        return 0;
    errno = atoi(getenv("FAIL_ERRNO"));
    return 1;
}

#define FAILING(type, name, parameters, arguments, condition)                             \
    type name parameters {                                                                \
        type(*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name);             \
        return (condition) && fails(#name) ? (type)-1 : real arguments;                   \
    }

FAILING(int, fsync, (int file), (file), 1)
FAILING(int, fdatasync, (int file), (file), 1)
FAILING(int, ftruncate, (int file, off_t length), (file, length), 1)
FAILING(int, ftruncate64, (int file, off_t length), (file, length), 1)
FAILING(int, rename, (const char *from, const char *to), (from, to), 1)
FAILING(int, flock, (int file, int operation), (file, operation), 1)
FAILING(ssize_t, write, (int file, const void *bytes, size_t count), (file, bytes, count), file > 2)
FAILING(ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at), 1)
FAILING(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at), 1)
