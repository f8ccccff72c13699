// Small floating-point formats as bit patterns: f16, bf16, e4m3 (fn) and e5m2, to and from f32 and f64.
//
// Narrowing rounds once, to nearest even, from the f64 given; an f32 is exact as f64. Past the largest number f16 and
// bf16 give infinity; e4m3 and e5m2 give their largest number, as the hardware's conversions do (PTX ISA, `cvt`,
// `.satfinite`). NaN stays NaN. Widening is exact.
#pragma once

#include "attn/ElementType.h"

#include <cstdint>

namespace attn {

std::uint16_t roundToF16(double value);
std::uint16_t roundToBF16(double value);
std::uint8_t roundToE4M3(double value);
std::uint8_t roundToE5M2(double value);

float widenF16(std::uint16_t bits);
float widenBF16(std::uint16_t bits);
float widenE4M3(std::uint8_t bits);
float widenE5M2(std::uint8_t bits);

/// To 11 significant bits, ties away from 0, as the hardware rounds to tf32 (PTX ISA, `cvt.rna.tf32.f32`).
float roundToTf32(float value);

/// The value after rounding to `type`, one of the floating types.
double roundTo(ElementType type, double value);

} // namespace attn
