// Transposes [images, rows, columns] to [images, columns, rows]; a block of 32 x 8 threads handles
// a tile of 32 x 32.
#include "common.cuh"

const int TILE = 32;

template <class T> __device__ void transpose(const T *from, unsigned rows, unsigned columns, unsigned tiles_across, T *to) {
    __shared__ T tile[TILE][TILE + 1];
    // Tiles run across a row first, then down, then over images.
    unsigned tiles_down = (rows + TILE - 1) / TILE;
    unsigned across = blockIdx.x % tiles_across, rest = blockIdx.x / tiles_across;
    unsigned down = rest % tiles_down, image = rest / tiles_down;
    from += image * rows * columns, to += image * rows * columns;
    unsigned column = across * TILE + threadIdx.x;
    for (unsigned y = threadIdx.y; y < TILE; y += 8) {
        unsigned row = down * TILE + y;
        if (row < rows && column < columns) tile[y][threadIdx.x] = from[row * columns + column];
    }
    __syncthreads();
    unsigned row = down * TILE + threadIdx.x;
    for (unsigned y = threadIdx.y; y < TILE; y += 8) {
        unsigned column = across * TILE + y;
        if (row < rows && column < columns) to[column * rows + row] = tile[threadIdx.x][y];
    }
}

#define TRANSPOSE(T) (const T *from, unsigned rows, unsigned columns, unsigned tiles_across, T *to)
FOR_EACH_TYPE(transpose, transpose, TRANSPOSE, (from, rows, columns, tiles_across, to))
