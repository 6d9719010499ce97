/* The C library's allocations, some of which fail, and those that are still there: of those that
   our extension modules ask for. Loaded before the C library (LD_PRELOAD); a test that has one
   thread arms it through ctypes. glibc only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

#define MOST_LIVE 4096

static int armed;
static long asked, first, last;
static void *live[MOST_LIVE]; /* blocks asked for while armed */
static int live_count;

/* From here on the allocations from `from` to `to`, counted from 0, fail. */
void
failing_malloc_arm(long from, long to)
{
    asked = 0;
    first = from;
    last = to;
    armed = 1;
}

/* No more. Returns how many there have been. */
long
failing_malloc_disarm(void)
{
    armed = 0;
    return asked;
}

/* How many blocks that were asked for while it was armed are still there. */
int
failing_malloc_live(void)
{
    return live_count;
}

/* Whether it is one of ours that asks, while armed. */
static int
counts(void *caller)
{
    Dl_info found;
    return armed && dladdr(caller, &found) != 0 && found.dli_fname != NULL
        && (strstr(found.dli_fname, "/_netsession.") != NULL
            || strstr(found.dli_fname, "/_simulator.") != NULL);
}

static int
fails(void)
{
    long number = asked++;
    return first <= number && number <= last;
}

static void *
remember(void *block)
{
    if (block != NULL && live_count < MOST_LIVE) {
        live[live_count++] = block;
    }
    return block;
}

/* Whoever frees it: our functions may end in a jump to free(). */
static void
forget(void *block)
{
    for (int i = live_count - 1; i >= 0; i--) {
        if (live[i] == block) {
            live[i] = live[--live_count];
            return;
        }
    }
}

void *
malloc(size_t size)
{
    if (!counts(__builtin_return_address(0))) {
        return __libc_malloc(size);
    }
    return fails() ? NULL : remember(__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    if (!counts(__builtin_return_address(0))) {
        return __libc_calloc(count, size);
    }
    return fails() ? NULL : remember(__libc_calloc(count, size));
}

void *
realloc(void *block, size_t size)
{
    if (!counts(__builtin_return_address(0))) {
        forget(block);
        return __libc_realloc(block, size);
    }
    if (fails()) {
        return NULL;
    }
    forget(block);
    return remember(__libc_realloc(block, size));
}

void
free(void *block)
{
    forget(block);
    __libc_free(block);
}
