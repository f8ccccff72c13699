// What the lane loops see of a warp: its register planes, the masks of undefined lanes, and the lanes to execute.
//
// This header is compiled for several instruction sets in one program, so everything in it is forced inline: no function
// of it may be shared between object files.
#pragma once

#include "runtime/emulator/Program.h"

#include <cstdint>

#define ATTN_INLINE __attribute__((always_inline)) inline

namespace attn::emulator {

struct LaneState {
  std::uint32_t *registers = nullptr;      ///< slots × 32 words
  std::uint32_t *undefined = nullptr;      ///< a lane mask for each slot
  std::uint32_t *predicates = nullptr;     ///< a lane mask for each predicate
  std::uint32_t *predicatesUndefined = nullptr;
  std::uint32_t *carry = nullptr;          ///< the condition code: a lane mask
  std::uint32_t exec = 0;                  ///< the lanes that execute the current instruction

  template <typename Word> ATTN_INLINE Word *plane(std::uint32_t slot) const {
    return reinterpret_cast<Word *>(registers + std::size_t(slot) * 32);
  }

  /// Writes the executing lanes of a plane.
  template <typename Word> ATTN_INLINE void write(std::uint32_t slot, const Word (&values)[32]) {
    Word *plane = this->plane<Word>(slot);
    if (exec == kFullMask) {
      __builtin_memcpy(plane, values, sizeof(values));
      return;
    }
    for (int i = 0; i < 32; ++i)
      plane[i] = (exec >> i) & 1 ? values[i] : plane[i];
  }

  /// Marks the executing lanes of a slot as undefined where `mask` says so.
  ATTN_INLINE void setUndefined(std::uint32_t slot, std::uint32_t mask) {
    undefined[slot] = (undefined[slot] & ~exec) | (mask & exec);
  }

  ATTN_INLINE std::uint32_t predicate(std::uint16_t index, bool negate) const {
    return negate ? ~predicates[index] : predicates[index];
  }
  ATTN_INLINE void writePredicate(std::uint16_t index, std::uint32_t mask, std::uint32_t undefinedMask) {
    predicates[index] = (predicates[index] & ~exec) | (mask & exec);
    predicatesUndefined[index] = (predicatesUndefined[index] & ~exec) | (undefinedMask & exec);
  }
};

/// The word a value of type T is kept in: 32 bits for all up to 32.
template <typename T> struct Storage { using Word = std::uint32_t; };
template <> struct Storage<std::uint64_t> { using Word = std::uint64_t; };
template <> struct Storage<std::int64_t> { using Word = std::uint64_t; };
template <> struct Storage<double> { using Word = std::uint64_t; };

template <typename T> ATTN_INLINE T fromWord(typename Storage<T>::Word word) {
  if constexpr (sizeof(T) == sizeof(word)) {
    T value;
    __builtin_memcpy(&value, &word, sizeof(T));
    return value;
  } else {
    return static_cast<T>(word);
  }
}

template <typename T> ATTN_INLINE typename Storage<T>::Word toWord(T value) {
  typename Storage<T>::Word word;
  if constexpr (sizeof(T) == sizeof(word))
    __builtin_memcpy(&word, &value, sizeof(T));
  else
    word = static_cast<std::uint32_t>(value); // signed values extend their sign
  return word;
}

} // namespace attn::emulator
