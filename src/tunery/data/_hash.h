/* Telling rows apart within one computation by 64 bits each. Whoever doesn't know the key can't make rows that collide;
   the hashes are never kept. Knows nothing of Python. */

#ifndef TUNERY_HASH_H
#define TUNERY_HASH_H

#include <stdlib.h>

#include "_json.h"

#define ODD 0x9E3779B97F4A7C15u
#define LANES 4
#define STRIDE (16 * LANES)

typedef struct {
    uint64_t at[3 * LANES];
} Secrets;

static Secrets secrets_of(uint64_t key)
{
    Secrets secrets;
    for (size_t i = 0; i < 3 * LANES; i++) {
        uint64_t z = key += ODD;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        secrets.at[i] = z ^ z >> 31;
    }
    return secrets;
}

/* Both halves of the product, over each other. */
static inline uint64_t fold(uint64_t one, uint64_t other)
{
#ifdef __SIZEOF_INT128__
    unsigned __int128 product = (unsigned __int128)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (one & UINT32_MAX) * (other & UINT32_MAX), high = (one >> 32) * (other >> 32);
    uint64_t left = (one >> 32) * (other & UINT32_MAX), right = (one & UINT32_MAX) * (other >> 32);
    uint64_t middle = (low >> 32) + (left & UINT32_MAX) + (right & UINT32_MAX);
    return (low & UINT32_MAX) ^ middle << 32 ^ (high + (left >> 32) + (right >> 32) + (middle >> 32));
#endif
}

/* Sums that don't wait for each other. */
static inline void mix(uint64_t sums[LANES], const uint8_t *at, const Secrets *secrets)
{
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t halves[2];
        memcpy(halves, at + 16 * lane, sizeof halves);
        sums[lane] = fold(halves[0] ^ secrets->at[lane], halves[1] ^ sums[lane]);
    }
}

static uint64_t hash(Bytes bytes, const Secrets *secrets)
{
    uint64_t sums[LANES], whole = bytes.size;
    uint8_t rest[STRIDE] = {0};
    size_t left = bytes.size % STRIDE;
    memcpy(sums, secrets->at + LANES, sizeof sums);
    for (size_t i = 0; i + STRIDE <= bytes.size; i += STRIDE)
        mix(sums, bytes.at + i, secrets);
    memcpy(rest, bytes.at + bytes.size - left, left);
    mix(sums, rest, secrets);
    for (int lane = 0; lane < LANES; lane++)
        whole = fold(whole ^ sums[lane], secrets->at[2 * LANES + lane] ^ ODD * whole);
    return whole;
}

/* How many hashes were there before. `seen` becomes memory to free; NULL where there was none. */
static size_t repeats_among(const uint64_t *hashes, size_t count, uint64_t **seen)
{
    size_t slots = 16, repeats = 0, zeros = 0;
    int bits = 4;
    for (; slots < 2 * count; slots *= 2)
        bits++;
    if (!(*seen = calloc(slots, sizeof **seen)))
        return 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = hashes[i];
        size_t slot = (size_t)(value * ODD >> (64 - bits));
        while ((*seen)[slot] && (*seen)[slot] != value)
            slot = (slot + 1) % slots;
        repeats += value ? (*seen)[slot] == value : zeros++ > 0;
        (*seen)[slot] = value;
    }
    return repeats;
}

/* Puts together what has the same remainder; `at` has a zero for each of them, and one more. */
static void part_by_remainder(const uint64_t *hashes, size_t count, unsigned parts, uint64_t *to, uint32_t *sizes,
                              size_t *at)
{
    for (size_t i = 0; i < count; i++)
        at[hashes[i] % parts + 1]++;
    for (unsigned part = 0; part < parts; part++) {
        sizes[part] = (uint32_t)at[part + 1];
        at[part + 1] += at[part];
    }
    for (size_t i = 0; i < count; i++)
        to[at[hashes[i] % parts]++] = hashes[i];
}

#endif
