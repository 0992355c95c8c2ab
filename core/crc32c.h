/* CRC-32C (Castagnoli), the checksum of everything on disk that is small or written often: it finds
 * every error burst of up to 32 bits. The CPU's own instruction where there is one. */

#ifndef CORE_CRC32C_H
#define CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of the bytes, going on from `crc`, the checksum of what came before (0 at the start). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same by table, on any CPU; crc32c() chooses. Here for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
