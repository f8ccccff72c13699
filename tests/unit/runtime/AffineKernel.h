// A small plan written by hand, for tests of devices and launches: out = x * scale + shift, through dynamic shared
// memory, negated on request. One thread an element; a block has 64 columns of one row.
#pragma once

#include <string>

namespace attn::testing {

inline const std::string kAffinePtx = R"(.version 7.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 staging[];
.visible .entry affine(
  .param .u64 affine_x, .param .u64 affine_out, .param .u64 affine_x_stride, .param .u64 affine_out_stride,
  .param .u32 affine_cols, .param .f32 affine_scale, .param .u32 affine_shift, .param .u32 affine_negate)
.maxntid 64, 1, 1
{
  .reg .pred %p<3>;
  .reg .b32 %r<16>;
  .reg .f32 %f<8>;
  .reg .b64 %rd<16>;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, %ctaid.y;
  mad.lo.u32 %r4, %r1, 64, %r2;
  ld.param.u32 %r5, [affine_cols];
  setp.lt.u32 %p1, %r4, %r5;
  ld.param.u64 %rd1, [affine_x];
  cvta.to.global.u64 %rd2, %rd1;
  ld.param.u64 %rd3, [affine_x_stride];
  cvt.u64.u32 %rd4, %r3;
  mul.lo.u64 %rd5, %rd3, %rd4;
  cvt.u64.u32 %rd6, %r4;
  add.u64 %rd7, %rd5, %rd6;
  shl.b64 %rd8, %rd7, 2;
  add.u64 %rd9, %rd2, %rd8;
  mov.f32 %f1, 0f00000000;
  @%p1 ld.global.f32 %f1, [%rd9];
  mov.u32 %r6, staging;
  shl.b32 %r7, %r2, 2;
  add.u32 %r8, %r6, %r7;
  st.shared.f32 [%r8], %f1;
  bar.sync 0;
  ld.shared.f32 %f2, [%r8];
  ld.param.f32 %f3, [affine_scale];
  ld.param.u32 %r9, [affine_shift];
  cvt.rn.f32.s32 %f4, %r9;
  fma.rn.f32 %f5, %f2, %f3, %f4;
  ld.param.u32 %r10, [affine_negate];
  setp.ne.u32 %p2, %r10, 0;
  @%p2 neg.f32 %f5, %f5;
  ld.param.u64 %rd10, [affine_out];
  cvta.to.global.u64 %rd11, %rd10;
  ld.param.u64 %rd12, [affine_out_stride];
  mul.lo.u64 %rd13, %rd12, %rd4;
  add.u64 %rd14, %rd13, %rd6;
  shl.b64 %rd14, %rd14, 2;
  add.u64 %rd15, %rd11, %rd14;
  @%p1 st.global.f32 [%rd15], %f5;
  ret;
}
)";

/// `sharedBytes` is 256 in the working kernel.
inline std::string affineManifest(const std::string &sharedBytes = "256", const std::string &target = "sm_80") {
  return R"json({
 "format": 1, "name": "affine", "target": ")json" + target + R"json(",
 "tensors": [
  {"name": "x", "type": "f32", "role": "input", "dims": ["rows", "cols"], "alignment": 16},
  {"name": "order", "type": "i32", "role": "input", "dims": ["rows + 1"], "range": ["0", "cols"], "ascending": true, "alignment": 4},
  {"name": "partial", "type": "f32", "role": "workspace", "dims": ["rows", "3"], "alignment": 256},
  {"name": "out", "type": "f32", "role": "output", "dims": ["rows", "cols"], "alignment": 16}],
 "scalars": [
  {"name": "scale", "type": "f32"},
  {"name": "shift", "type": "i32", "default": 0, "range": ["-8", "cols"]},
  {"name": "negate", "type": "bool", "default": 0}],
 "checks": [{"mustBeZero": "cols % group", "message": "`group` must divide `cols`"}],
 "kernels": [
  {"name": "affine", "grid": ["ceildiv(cols, 64)", "rows", "1"], "threads": 64, "sharedBytes": )json" + sharedBytes + R"json(,
   "params": [
    {"kind": "pointer", "name": "x"}, {"kind": "pointer", "name": "out"},
    {"kind": "stride", "name": "x", "dim": 0}, {"kind": "stride", "name": "out", "dim": 0},
    {"kind": "extent", "name": "cols"}, {"kind": "scalar", "name": "scale"},
    {"kind": "scalar", "name": "shift"}, {"kind": "scalar", "name": "negate"}]}],
 "source": "written by hand"
})json";
}

} // namespace attn::testing
