/* Random numbers that are the same for the same seed, everywhere: xorshift64*. */

#ifndef NETSESSION_FUZZ_RANDOM_H
#define NETSESSION_FUZZ_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 1;

static inline void
random_seed(uint64_t seed)
{
    random_state = seed << 1 | 1;
}

static inline uint32_t
random_below(uint32_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 32) % limit;
}

#endif
