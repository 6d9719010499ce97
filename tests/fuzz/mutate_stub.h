/* Reply stubs of NetrSessionEnum mutated as what they are: entries and strings come, go and
   change, and every count, referent and alignment follows. Blind mutation hardly gets past the
   counts; this reaches what lies behind them. */

#ifndef NETSESSION_FUZZ_MUTATE_STUB_H
#define NETSESSION_FUZZ_MUTATE_STUB_H

#include <stddef.h>
#include <stdint.h>

/* Mutates the stub in `data` in place; its new size, at most `most`. Where it is no stub that can
   be read, a small one takes its place. */
size_t mutate_stub(uint8_t *data, size_t size, size_t most, unsigned int seed);

/* libFuzzer's own mutator. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Now a stub as a whole, now its bytes, after a head of `head` bytes that is bytes only. */
size_t mutate_behind(size_t head, uint8_t *data, size_t size, size_t most, unsigned int seed);

#endif
