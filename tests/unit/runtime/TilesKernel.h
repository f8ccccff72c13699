// A kernel whose blocks do one tile of work after the other, and how many blocks a launch of it has.
#pragma once

#include "attn/Attn.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace attn::testing {

/// Writes the number of blocks to every element, each block to every so many.
inline constexpr const char *kTilesPtx = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry tiles(.param .u64 out, .param .u32 count) {
  .reg .pred %p;
  .reg .b32 %r<4>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd0, [out];
  ld.param.u32 %r0, [count];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %nctaid.x;
next:
  setp.ge.u32 %p, %r1, %r0;
  @%p bra end;
  mul.wide.u32 %rd1, %r1, 4;
  add.s64 %rd2, %rd0, %rd1;
  st.global.u32 [%rd2], %r2;
  add.u32 %r1, %r1, %r2;
  bra next;
end:
  ret;
}
)";

/// Blocks of a launch over `tiles` tiles of work.
inline std::int32_t blocksOf(const Device &device, std::int64_t tiles, int blocksPerMultiprocessor) {
  std::string manifest = R"({"format": 1, "name": "tiles", "target": "sm_80",
    "tensors": [{"name": "out", "type": "i32", "role": "output", "dims": ["tiles"], "alignment": 4}], "scalars": [], "checks": [],
    "kernels": [{"name": "tiles", "grid": ["tiles", "1", "1"], "blocksPerMultiprocessor": )" +
                         std::to_string(blocksPerMultiprocessor) + R"(, "threads": 1, "sharedBytes": 0,
      "params": [{"kind": "pointer", "name": "out"}, {"kind": "extent", "name": "tiles"}]}], "source": ""})";
  auto plan = Module::fromPtx(device, kTilesPtx, manifest)->plan();
  EXPECT_TRUE(plan) << plan.status().message();
  std::vector<std::int32_t> values(static_cast<std::size_t>(tiles));
  Buffer out = std::move(*Buffer::allocate(device, values.size() * 4));
  Status status = plan->launch(Stream::defaultOf(device), {{"out", out.view(ElementType::I32, {tiles})}});
  EXPECT_TRUE(status) << status.message();
  EXPECT_TRUE(out.download(std::as_writable_bytes(std::span(values))));
  for (std::int32_t value : values)
    EXPECT_EQ(value, values[0]);
  return values[0];
}

} // namespace attn::testing
