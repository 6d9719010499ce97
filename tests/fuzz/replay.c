/* In libFuzzer's place: gives a target the files it is called with, one after the other. So a kept
   corpus can be run, and its coverage measured, where no clang is. */

#include "check.h"

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* What mutators call, which are not used here. */
size_t
LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most)
{
    (void)data;
    (void)most;
    return size;
}

int
main(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argc, &argv);
    }
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        CHECK(file != NULL);
        size_t size = fread(data, 1, sizeof(data), file);
        (void)fclose(file);
        unsigned char *copy = copy_exactly(data, size);
        (void)LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    return 0;
}
