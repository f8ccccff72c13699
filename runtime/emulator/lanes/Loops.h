// Loops over the 32 lanes of a warp, from which the handlers are made. Results go to a buffer first, so that a destination
// may also be a source; undefined lanes of any source make the result undefined there.
#pragma once

#include "runtime/emulator/lanes/LaneHandlers.h"
#include "runtime/emulator/lanes/LaneState.h"

#ifndef ATTN_LANES
#error "lanes/ is compiled with ATTN_LANES naming the instruction set"
#endif

namespace attn::emulator::ATTN_LANES {

template <typename T> using Word = typename Storage<T>::Word;

template <typename R, typename A, typename F> ATTN_INLINE void forLanes(LaneState &state, const Inst &in, F f) {
  const Word<A> *a = state.plane<Word<A>>(in.a);
  Word<R> result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = toWord<R>(f(fromWord<A>(a[i])));
  std::uint32_t mask = state.undefined[in.a];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

template <typename R, typename A, typename B, typename F>
ATTN_INLINE void forLanes(LaneState &state, const Inst &in, F f) {
  const Word<A> *a = state.plane<Word<A>>(in.a);
  const Word<B> *b = state.plane<Word<B>>(in.b);
  Word<R> result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = toWord<R>(f(fromWord<A>(a[i]), fromWord<B>(b[i])));
  std::uint32_t mask = state.undefined[in.a] | state.undefined[in.b];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

template <typename R, typename A, typename B, typename C, typename F>
ATTN_INLINE void forLanes(LaneState &state, const Inst &in, F f) {
  const Word<A> *a = state.plane<Word<A>>(in.a);
  const Word<B> *b = state.plane<Word<B>>(in.b);
  const Word<C> *c = state.plane<Word<C>>(in.c);
  Word<R> result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = toWord<R>(f(fromWord<A>(a[i]), fromWord<B>(b[i]), fromWord<C>(c[i])));
  std::uint32_t mask = state.undefined[in.a] | state.undefined[in.b] | state.undefined[in.c];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

/// A handler from an operation without state: `Op{}(a, b…)`.
template <typename Op, typename R, typename... Sources> [[gnu::noinline]] void handler(LaneState &state, const Inst &in) {
  forLanes<R, Sources...>(state, in, Op{});
}

/// The lanes for which `f(i)` holds.
template <typename F> ATTN_INLINE std::uint32_t laneMask(F f) {
  std::uint32_t bits[32];
  for (int i = 0; i < 32; ++i)
    bits[i] = f(i) ? 1u << i : 0u;
  std::uint32_t mask = 0;
  for (int i = 0; i < 32; ++i)
    mask |= bits[i];
  return mask;
}

/// Runs a handler under another rounding mode of the CPU. The handler is not inlined here, so that no arithmetic moves
/// across the changes of the control register.
template <Handler kHandler, unsigned kMode> void underRounding(LaneState &state, const Inst &in) {
  unsigned control = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr((control & ~0x6000u) | kMode << 13);
  kHandler(state, in);
  __builtin_ia32_ldmxcsr(control);
}

/// `kHandler` for a rounding mode of PTX.
template <Handler kHandler> Handler rounded(Rounding rounding) {
  switch (rounding) {
  case Rounding::Zero:
    return underRounding<kHandler, 3>;
  case Rounding::Down:
    return underRounding<kHandler, 1>;
  case Rounding::Up:
    return underRounding<kHandler, 2>;
  default:
    return kHandler;
  }
}

} // namespace attn::emulator::ATTN_LANES
