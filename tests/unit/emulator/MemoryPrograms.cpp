// ld, st and their relatives: every space, width, vector, cache operator and ordering (PTX ISA 9.7.9.8 to 9.7.9.16).
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

namespace attn::emulator::testing {

/// 64 bytes a lane of a pattern in which every byte differs from its neighbours.
static Words pattern(unsigned words = 512) {
  return lanes([](unsigned i) { return i * 0x9E3779B9u ^ 0x80C0A0F0u; }, words);
}

static std::uint64_t bytesAt(const Words &words, std::size_t offset, unsigned bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, reinterpret_cast<const char *>(words.data()) + offset, bytes);
  return value;
}

static std::string registerOf(const std::string &type, unsigned index) {
  unsigned bits = bitsOf(type);
  return fmt::format("%{}{}", bits <= 16 ? 'h' : bits == 32 ? 'r' : 'd', index);
}

/// Extends as ld does: by the sign for .s8, by zeros for the rest, to the width of the register.
static std::uint64_t extended(const std::string &type, std::uint64_t bits) {
  if (type == "s8")
    return static_cast<std::uint16_t>(static_cast<std::int8_t>(bits));
  return bits;
}

static std::string vectorOf(const std::string &type, unsigned count) {
  if (count == 1)
    return registerOf(type, 0);
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", " : "") + registerOf(type, i);
  return text + "}";
}

/// Loads every type and vector width, and stores each element in 8 bytes of its own.
static void loadsOfEveryType() {
  Words input = pattern();
  for (const std::string &type : expand("{b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64}"))
    for (unsigned count : {1u, 2u, 4u}) {
      unsigned bytes = bitsOf(type) / 8;
      if (bytes * count > 16)
        continue;
      std::string vector = count == 1 ? "" : fmt::format(".v{}", count);
      std::string body = fmt::format("  mad.wide.u32 %d40, %thread, {}, %in0;\n  mad.wide.u32 %d41, %thread, 32, %out;\n"
                                     "  ld.global{}.{} {}, [%d40];\n",
                                     bytes * count, vector, type, vectorOf(type, count));
      for (unsigned i = 0; i < count; ++i)
        body += fmt::format("  st.b{} [%d41+{}], {};\n", std::max(bitsOf(type), 16u), 8 * i, registerOf(type, i));
      Words out = run({.body = body, .inputs = {input}, .outputs = 256});
      for (unsigned lane = 0; lane < 32; ++lane)
        for (unsigned i = 0; i < count; ++i)
          ASSERT_EQ(bytesAt(out, 32 * lane + 8 * i, 8), extended(type, bytesAt(input, (lane * count + i) * bytes, bytes)))
              << type << " x" << count << " lane " << lane << " element " << i;
    }
}

static void storesOfEveryType() {
  Words input = pattern();
  for (const std::string &type : expand("{b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64}"))
    for (unsigned count : {1u, 2u, 4u}) {
      unsigned bytes = bitsOf(type) / 8;
      if (bytes * count > 16)
        continue;
      std::string vector = count == 1 ? "" : fmt::format(".v{}", count);
      std::string body = fmt::format("  mad.wide.u32 %d40, %thread, 32, %in0;\n  mad.wide.u32 %d41, %thread, {}, %out;\n",
                                     bytes * count);
      for (unsigned i = 0; i < count; ++i)
        body += fmt::format("  ld.b{} {}, [%d40+{}];\n", std::max(bitsOf(type), 16u), registerOf(type, i), 8 * i);
      body += fmt::format("  st.global{}.{} [%d41], {};\n", vector, type, vectorOf(type, count));
      Words out = run({.body = body, .inputs = {input}, .outputs = 256});
      for (unsigned lane = 0; lane < 32; ++lane)
        for (unsigned i = 0; i < count; ++i)
          ASSERT_EQ(bytesAt(out, (lane * count + i) * bytes, bytes), bytesAt(input, 32 * lane + 8 * i, bytes))
              << type << " x" << count << " lane " << lane << " element " << i;
    }
}

/// One word through each space, by its own name and by its generic address.
static void spaces() {
  Words input = pattern(32);
  const std::string load = "  mad.wide.u32 %d0, %thread, 4, %in0;\n  ld.global.u32 %r0, [%d0];\n";
  const std::string shared = "  .shared .align 16 .b8 tile[256];\n  shl.b32 %r1, %thread, 2;\n  mov.u32 %r2, tile;\n"
                             "  add.u32 %r2, %r2, %r1;\n  cvt.u64.u32 %d1, %r2;\n";
  const std::string local = "  .local .align 8 .b8 frame[16];\n  mov.u64 %d1, frame;\n";
  const std::string store = "  st.global.u32 [%mine], %r3;\n";
  const char *bodies[] = {
      "  st.shared.u32 [%d1], %r0;\n  ld.shared.u32 %r3, [%d1];\n",
      "  st.shared::cta.u32 [%r2+128], %r0;\n  ld.shared::cta.u32 %r3, [%r2+128];\n",
      "  cvta.shared.u64 %d2, %d1;\n  st.u32 [%d2], %r0;\n  ld.u32 %r3, [%d2];\n",
      "  st.volatile.shared.u32 [%d1], %r0;\n  ld.volatile.shared.u32 %r3, [%d1];\n",
      "  cvta.shared.u64 %d2, %d1;\n  cvta.to.shared.u64 %d3, %d2;\n  st.shared.u32 [%d3], %r0;\n  ld.u32 %r3, [%d2];\n",
      "  cvta.shared::cta.u64 %d2, %d1;\n  cvta.to.shared::cta.u64 %d3, %d2;\n  st.weak.u32 [%d2], %r0;\n"
      "  ld.shared.u32 %r3, [%d3];\n",
  };
  for (const char *body : bodies)
    EXPECT_EQ(run({.body = load + shared + body + store, .inputs = {input}}), input) << body;
  EXPECT_EQ(run({.body = load + local + "  st.local.u32 [%d1+4], %r0;\n  ld.local.u32 %r3, [%d1+4];\n" + store, .inputs = {input}}), input);
  EXPECT_EQ(run({.body = load + local + "  cvta.local.u64 %d2, %d1;\n  st.u32 [%d2], %r0;\n  cvta.to.local.u64 %d3, %d2;\n"
                                        "  ld.local.u32 %r3, [%d3];\n" + store,
                 .inputs = {input}}),
            input);
  EXPECT_EQ(run({.body = "  cvta.to.global.u64 %d0, %in0;\n  cvta.global.u64 %d1, %d0;\n  mad.wide.u32 %d1, %thread, 4, %d1;\n"
                         "  ld.u32 %r3, [%d1];\n" + store,
                 .inputs = {input}}),
            input);
}

static void constantsAndParameters() {
  const std::string table = ".const .align 4 .u32 table[4] = {7, 11, 13, 17};\n.global .align 8 .b8 text[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n";
  Words expected = lanes([](unsigned lane) { return std::uint32_t("\7\13\15\21"[lane % 4]); });
  const std::string index = "  and.b32 %r0, %thread, 3;\n  mul.wide.u32 %d0, %r0, 4;\n  mov.u64 %d1, table;\n";
  const char *reads[] = {"  add.u64 %d2, %d1, %d0;\n  ld.const.u32 %r3, [%d2];\n",
                         "  cvta.const.u64 %d1, %d1;\n  add.u64 %d2, %d1, %d0;\n  ld.u32 %r3, [%d2];\n",
                         "  cvta.const.u64 %d1, %d1;\n  add.u64 %d2, %d1, %d0;\n  cvta.to.const.u64 %d3, %d2;\n  ld.const.u32 %r3, [%d3];\n"};
  for (const char *read : reads)
    EXPECT_EQ(run({.body = index + read + "  st.global.u32 [%mine], %r3;\n", .declarations = table}), expected) << read;
  EXPECT_EQ(run({.body = "  ld.global.u32 %r0, [text+4];\n  st.u32 [%mine], %r0;\n", .declarations = table}), Words(32, 0x08070605));
  // A parameter by its name, by its other names, and by its generic address.
  for (const char *read : {"  ld.param.u64 %d0, [in0];\n", "  ld.param::entry.u64 %d0, [in0];\n",
                           "  mov.b64 %d1, in0;\n  cvta.param.u64 %d1, %d1;\n  ld.u64 %d0, [%d1];\n",
                           "  mov.b64 %d1, in0;\n  cvta.param.u64 %d1, %d1;\n  cvta.to.param.u64 %d2, %d1;\n  ld.param.u64 %d0, [%d2];\n"})
    EXPECT_EQ(run({.body = std::string(read) + "  ld.u32 %r0, [%d0+8];\n  st.u32 [%mine], %r0;\n", .inputs = {{5, 6, 7}}}), Words(32, 7)) << read;
}

/// Modifiers that speak of caches and ordering change no value.
static void cacheOperatorsOnLoads() {
  Words input = pattern(32);
  const std::string address = "  mad.wide.u32 %d0, %thread, 4, %in0;\n  createpolicy.fractional.L2::evict_last.b64 %d9, 1.0;\n";
  std::vector<std::string> plain, hinted;
  for (const char *pattern :
       {"ld{.weak|.volatile|}.global.b32", "ld{.weak|}.global{.ca|.cg|.cs|.lu|.cv}.b32",
        "ld.global{.L1::evict_normal|.L1::evict_unchanged|.L1::evict_first|.L1::evict_last|.L1::no_allocate|}{.L2::64B|.L2::128B|.L2::256B|}.u32",
        "ld.global{.ca|.cg|.cs|}.nc.f32", "ldu{.global|}.{b32|u32|s32|f32}",
        "ld.global.nc{.L1::evict_normal|.L1::evict_unchanged|.L1::evict_first|.L1::evict_last|.L1::no_allocate|}{.L2::64B|.L2::128B|.L2::256B|}.u32",
        "ld.{relaxed|acquire}.{cta|cluster|gpu|sys}{.global|}.{b32|u32|s32|f32}",
        "ld.relaxed.gpu.global{.L1::evict_normal|.L1::evict_unchanged|.L1::evict_first|.L1::evict_last|.L1::no_allocate}.b32",
        "ld.relaxed.gpu.global{.L2::64B|.L2::128B|.L2::256B}.b32"})
    for (const std::string &opcode : expand(pattern))
      plain.push_back(opcode + " %r0, [%d0];");
  for (const char *pattern : {"ld.global{.L1::evict_last|}.L2::cache_hint{.L2::128B|}.b32", "ld.global.nc.L2::cache_hint.b32",
                              "ld.relaxed.gpu.global.L2::cache_hint.b32"})
    for (const std::string &opcode : expand(pattern))
      hinted.push_back(opcode + " %r0, [%d0], %d9;");
  plain.insert(plain.end(), hinted.begin(), hinted.end());
  for (const std::string &load : plain)
    EXPECT_EQ(run({.body = address + "  " + load + "\n  st.global.u32 [%mine], %r0;\n", .inputs = {input}}), input) << load;
}

static void cacheOperatorsOnStores() {
  Words input = pattern(32);
  const std::string load = "  mad.wide.u32 %d0, %thread, 4, %in0;\n  ld.u32 %r0, [%d0];\n"
                           "  createpolicy.fractional.L2::evict_first.b64 %d9, 0.5;\n";
  std::vector<std::string> stores;
  for (const char *pattern :
       {"st{.weak|.volatile|}{.global|}.b32", "st.global{.wb|.cg|.cs|.wt}.b32",
        "st.global{.L1::evict_normal|.L1::evict_unchanged|.L1::evict_first|.L1::evict_last|.L1::no_allocate}.u32",
        "st.{relaxed|release}.{cta|cluster|gpu|sys}{.global|}.{b32|u32|s32|f32}",
        "st.relaxed.gpu.global{.L1::evict_normal|.L1::evict_unchanged|.L1::evict_first|.L1::evict_last|.L1::no_allocate}.b32"})
    for (const std::string &opcode : expand(pattern))
      stores.push_back(opcode + " [%mine], %r0;");
  for (const char *opcode : {"st.global.L2::cache_hint.b32", "st.global.L1::evict_last.L2::cache_hint.b32", "st.release.sys.global.L2::cache_hint.b32"})
    stores.push_back(std::string(opcode) + " [%mine], %r0, %d9;");
  for (const std::string &store : stores)
    EXPECT_EQ(run({.body = load + "  " + store + "\n", .inputs = {input}}), input) << store;
}

/// The ordered, read-only and uniform loads take every type and vector too.
static void orderedTypes() {
  Words input = pattern();
  for (const char *load : {"ld.relaxed.gpu", "ld.acquire.sys.global", "ld.global.nc", "ldu.global"})
    for (const std::string &type : expand("{b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64}"))
      for (unsigned count : {1u, 2u, 4u}) {
        unsigned bytes = bitsOf(type) / 8;
        if (bytes * count > 16)
          continue;
        std::string vector = count == 1 ? "" : fmt::format(".v{}", count), registers = vectorOf(type, count);
        bool ordered = std::string(load).find("re") != std::string::npos || std::string(load).find("acq") != std::string::npos;
        std::string store = ordered ? "st.relaxed.cta.global" : "st.global";
        Words out = run({.body = fmt::format("  mad.wide.u32 %d40, %thread, {0}, %in0;\n  mad.wide.u32 %d41, %thread, {0}, %out;\n"
                                             "  {1}{2}.{3} {4}, [%d40];\n  {5}{2}.{3} [%d41], {4};\n",
                                             bytes * count, load, vector, type, registers, store),
                         .inputs = {input},
                         .outputs = 256});
        for (unsigned i = 0; i < 32 * count; ++i)
          ASSERT_EQ(bytesAt(out, i * bytes, bytes), bytesAt(input, i * bytes, bytes)) << load << vector << "." << type;
      }
  for (const std::string &space : expand("{.shared|.shared::cta}"))
    for (const std::string &scope : expand("{cta|cluster|gpu|sys}"))
      EXPECT_EQ(run({.body = fmt::format("  .shared .b32 cell[32];\n  mov.u32 %r1, cell;\n  mad.lo.u32 %r1, %thread, 4, %r1;\n"
                                         "  st.release.{0}{1}.u32 [%r1], %thread;\n  ld.acquire.{0}{1}.u32 %r0, [%r1];\n"
                                         "  st.u32 [%mine], %r0;\n",
                                         scope, space)}),
                lanes([](unsigned lane) { return lane; }));
}

static void wide128() {
  Words input = pattern(128);
  const std::string declare = "  .reg .b128 %q<4>;\n  mad.wide.u32 %d0, %thread, 16, %in0;\n  mad.wide.u32 %d1, %thread, 16, %out;\n";
  for (const char *body : {"  ld.global.b128 %q0, [%d0];\n  mov.b128 %q1, %q0;\n  st.global.b128 [%d1], %q1;\n",
                           "  ld.relaxed.gpu.global.b128 %q0, [%d0];\n  st.relaxed.gpu.global.b128 [%d1], %q0;\n",
                           "  ld.global.nc.b128 %q0, [%d0];\n  st.global.b128 [%d1], %q0;\n",
                           "  ldu.global.b128 %q0, [%d0];\n  st.global.b128 [%d1], %q0;\n",
                           "  ld.global.b128 %q0, [%d0];\n  mov.b128 {%d2, %d3}, %q0;\n  mov.b128 %q1, {%d2, %d3};\n  st.global.b128 [%d1], %q1;\n"})
    EXPECT_EQ(run({.body = declare + body, .inputs = {input}, .outputs = 128}), input) << body;
}

static void prefetches() {
  for (const char *opcode : {"prefetch.global.L1", "prefetch.global.L2", "prefetch.L1", "prefetch.L2", "prefetch.global.L2::evict_last",
                             "prefetch.global.L2::evict_normal", "prefetchu.L1"})
    EXPECT_EQ(run({.body = fmt::format("  {} [%in0];\n  st.u32 [%mine], 9;\n", opcode), .inputs = {{1}}}), Words(32, 9));
  EXPECT_EQ(run({.body = "  .local .b8 frame[16];\n  prefetch.local.L1 [frame];\n  st.u32 [%mine], 9;\n"}), Words(32, 9));
  for (const std::string &opcode : expand("createpolicy.fractional.{L2::evict_last|L2::evict_normal|L2::evict_first|L2::evict_unchanged}"
                                          "{.L2::evict_first|.L2::evict_unchanged|}.b64"))
    EXPECT_EQ(run({.body = fmt::format("  {} %d0, 1.0;\n  st.global.L2::cache_hint.u32 [%mine], 9, %d0;\n", opcode)}), Words(32, 9));
}

/// isspacep: each window knows itself and no other.
static void spaceTests() {
  const std::string spaces[] = {"global", "shared", "shared::cta", "local", "const", "param"};
  const std::string declare = "  .local .b8 frame[16];\n  .shared .b8 tile[16];\n  mov.u64 %d1, tile;\n  cvta.shared.u64 %d1, %d1;\n"
                              "  mov.u64 %d3, frame;\n  cvta.local.u64 %d3, %d3;\n  mov.u64 %d4, table;\n  cvta.const.u64 %d4, %d4;\n"
                              "  mov.b64 %d5, in0;\n  cvta.param.u64 %d5, %d5;\n  mov.u64 %d0, %in0;\n  mov.u64 %d2, %d1;\n";
  for (unsigned tested = 0; tested < 6; ++tested)
    for (unsigned address = 0; address < 6; ++address) {
      if (tested == 0 && address >= 4)
        continue; // const and param may count as global
      auto isShared = [](unsigned space) { return space == 1 || space == 2; };
      bool same = tested == address || (isShared(tested) && isShared(address));
      Words out = run({.body = declare + fmt::format("  isspacep.{} %p0, %d{};\n  selp.u32 %r0, 1, 0, %p0;\n  st.u32 [%mine], %r0;\n",
                                                     spaces[tested], address),
                       .declarations = ".const .u32 table = 5;\n",
                       .inputs = {{1}}});
      EXPECT_EQ(out[0], same ? 1u : 0u) << spaces[tested] << " of an address in " << spaces[address];
    }
}

/// Lanes whose guard is false neither read nor write.
static void guardedAccess() {
  Words input = pattern(32);
  Words out = run({.body = "  and.b32 %r1, %thread, 1;\n  setp.eq.u32 %p0, %r1, 0;\n  mad.wide.u32 %d0, %thread, 4, %in0;\n"
                           "  mov.u32 %r0, 77;\n  @!%p0 mov.u64 %d0, 0;\n  @%p0 ld.global.u32 %r0, [%d0];\n"
                           "  setp.lt.u32 %p1, %thread, 16;\n  @%p1 st.global.u32 [%mine], %r0;\n",
                   .inputs = {input}});
  EXPECT_EQ(out, lanes([&](unsigned lane) { return lane >= 16 ? 0u : lane % 2 ? 77u : input[lane]; }));
}

std::vector<ProgramCase> memoryCases() {
  return {{"loads_of_every_type", loadsOfEveryType}, {"stores_of_every_type", storesOfEveryType}, {"spaces", spaces},
          {"constants_and_parameters", constantsAndParameters}, {"cache_operators_on_loads", cacheOperatorsOnLoads},
          {"cache_operators_on_stores", cacheOperatorsOnStores}, {"ordered_types", orderedTypes}, {"wide_128", wide128},
          {"prefetches", prefetches}, {"space_tests", spaceTests}, {"guarded_access", guardedAccess}};
}

} // namespace attn::emulator::testing
