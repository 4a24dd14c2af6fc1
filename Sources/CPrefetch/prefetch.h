// What Swift has no words for: asking for a cache line before it is needed. Nothing but these hints is written in C.

#ifndef CPREFETCH_H
#define CPREFETCH_H

/// The line will be read, once the caches nearer than the second have been used for other things.
static inline __attribute__((always_inline)) void prefetch_for_reading(const void *address) {
    __builtin_prefetch(address, 0, 2);
}

/// The line will be read and written soon.
static inline __attribute__((always_inline)) void prefetch_for_writing(const void *address) {
    __builtin_prefetch(address, 1, 3);
}

#endif
