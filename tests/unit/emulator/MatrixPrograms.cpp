// ldmatrix and mma.sync (PTX ISA 9.7.14.5). Which element a lane holds is written down from the ISA's formulas, element by
// element; the product is computed on whole matrices.
#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include "attn/Float.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

namespace attn::emulator::testing {

namespace {
struct Place {
  unsigned row, column;
};

/// One shape and type of mma: how many elements a lane holds of each matrix, and where they are (`g` = lane / 4, `t` = lane % 4).
struct Shape {
  unsigned m, k, elementBits, countA, countB;
  Place (*a)(unsigned g, unsigned t, unsigned i);
  Place (*b)(unsigned g, unsigned t, unsigned i);
};
} // namespace

static const Shape kHalfK16 = {16, 16, 16, 8, 4,
                               [](unsigned g, unsigned t, unsigned i) {
                                 return Place{i < 2 || (4 <= i && i < 6) ? g : g + 8, i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8};
                               },
                               [](unsigned g, unsigned t, unsigned i) { return Place{i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8, g}; }};
static const Shape kHalfK8 = {16, 8, 16, 4, 2, [](unsigned g, unsigned t, unsigned i) { return Place{i < 2 ? g : g + 8, t * 2 + (i & 1)}; },
                              [](unsigned g, unsigned t, unsigned i) { return Place{t * 2 + i, g}; }};
static const Shape kTf32K8 = {16, 8, 32, 4, 2, [](unsigned g, unsigned t, unsigned i) { return Place{i % 2 == 0 ? g : g + 8, i < 2 ? t : t + 4}; },
                              [](unsigned g, unsigned t, unsigned i) { return Place{i == 0 ? t : t + 4, g}; }};
static const Shape kTf32K4 = {16, 4, 32, 2, 1, [](unsigned g, unsigned t, unsigned i) { return Place{i == 0 ? g : g + 8, t}; },
                              [](unsigned g, unsigned t, unsigned) { return Place{t, g}; }};
static const Shape kByteK16 = {16, 16, 8, 8, 4, [](unsigned g, unsigned t, unsigned i) { return Place{i < 4 ? g : g + 8, t * 4 + (i & 3)}; },
                               [](unsigned g, unsigned t, unsigned i) { return Place{t * 4 + i, g}; }};
static const Shape kByteK32 = {16, 32, 8, 16, 8,
                               [](unsigned g, unsigned t, unsigned i) {
                                 return Place{i < 4 || (8 <= i && i < 12) ? g : g + 8, i < 8 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16};
                               },
                               [](unsigned g, unsigned t, unsigned i) { return Place{i < 4 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16, g}; }};
/// m16n8kK: register i holds row g + 8 (i % 2), k = t + 4 (i / 2).
static Place placeOfTallA(unsigned g, unsigned t, unsigned i) { return {g + 8 * (i % 2), t + 4 * (i / 2)}; }
static Place placeOfTallB(unsigned g, unsigned t, unsigned i) { return {t + 4 * i, g}; }
static const Shape kTallDoubleK4 = {16, 4, 64, 2, 1, placeOfTallA, placeOfTallB};
static const Shape kTallDoubleK8 = {16, 8, 64, 4, 2, placeOfTallA, placeOfTallB};
static const Shape kTallDoubleK16 = {16, 16, 64, 8, 4, placeOfTallA, placeOfTallB};
static const Shape kDouble = {8, 4, 64, 1, 1, [](unsigned g, unsigned t, unsigned) { return Place{g, t}; },
                              [](unsigned g, unsigned t, unsigned) { return Place{t, g}; }};

static Place placeOfC(unsigned g, unsigned t, unsigned i) { return {i < 2 ? g : g + 8, t * 2 + (i & 1)}; }

static const oracle::Format &formatOf(const std::string &type) {
  return type == "f16" ? oracle::kF16 : type == "bf16" ? oracle::kBF16 : type == "f64" ? oracle::kF64 : oracle::kF32;
}

static Word encode(const std::string &type, double value) {
  if (type == "e4m3")
    return roundToE4M3(value);
  if (type == "e5m2") // infinities as they are
    return std::isinf(value) ? (value < 0 ? 0xFC : 0x7C) : roundToE5M2(value);
  if (type[0] == 's' || type[0] == 'u')
    return static_cast<Word>(static_cast<std::int64_t>(value)) & (bitsOf(type) == 32 ? 0xFFFFFFFF : 0xFF);
  return oracle::convert(formatOf(type), oracle::kF64, std::bit_cast<Word>(value), oracle::Mode::Nearest);
}

static double decode(const std::string &type, Word bits) {
  if (type == "s32")
    return static_cast<std::int32_t>(bits);
  if (type == "e4m3" || type == "e5m2")
    return type == "e4m3" ? widenE4M3(static_cast<std::uint8_t>(bits)) : widenE5M2(static_cast<std::uint8_t>(bits));
  return oracle::toDouble(formatOf(type), bits);
}

/// A matrix of `type` in registers: 32-bit words lane after lane, `bits` per element.
template <typename F> static Words fragment(unsigned count, unsigned bits, F elementOf) {
  unsigned words = std::max(count * bits / 32, 1u);
  Words packed(32 * words, 0);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < count; ++i) {
      Word value = elementOf(lane / 4, lane % 4, i);
      std::memcpy(reinterpret_cast<char *>(packed.data() + lane * words) + i * bits / 8, &value, bits / 8);
    }
  return packed;
}

namespace {
/// The values of one product, and its result as the emulator gave it.
struct Product {
  std::vector<double> a, b, c, d; ///< m×k, k×8, m×8, m×8
};
} // namespace

static std::string registersOf(char letter, unsigned first, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += fmt::format("{}%{}{}", i ? ", " : "", letter, first + i);
  return text + "}";
}

static void multiply(const std::string &opcode, const Shape &shape, Product &product) {
  Opcode op(opcode);
  const std::string &typeD = op.type(3), &typeA = op.type(2), &typeB = op.type(1), &typeC = op.type();
  unsigned countC = shape.m == 8 ? 2 : 4;
  Words a = fragment(shape.countA, shape.elementBits, [&](unsigned g, unsigned t, unsigned i) {
    Place at = shape.a(g, t, i);
    return encode(typeA == "tf32" ? "f32" : typeA, product.a[at.row * shape.k + at.column]);
  });
  Words b = fragment(shape.countB, shape.elementBits, [&](unsigned g, unsigned t, unsigned i) {
    Place at = shape.b(g, t, i);
    return encode(typeB == "tf32" ? "f32" : typeB, product.b[at.row * 8 + at.column]);
  });
  Words c = fragment(countC, bitsOf(typeC), [&](unsigned g, unsigned t, unsigned i) {
    Place at = placeOfC(g, t, i);
    return encode(typeC, product.c[at.row * 8 + at.column]);
  });
  bool isDouble = shape.elementBits == 64;
  unsigned unit = isDouble ? 2 : 1;
  auto wordsOf = [&](const Words &words) { return static_cast<unsigned>(words.size() / 32); };
  char letter = isDouble ? 'd' : 'r';
  std::string body;
  const Words *matrices[] = {&a, &b, &c};
  const unsigned firsts[] = {10, 20, 30};
  for (unsigned m = 0; m < 3; ++m) {
    body += fmt::format("  mad.wide.u32 %d0, %thread, {}, %in{};\n", 4 * wordsOf(*matrices[m]), m);
    for (unsigned i = 0; i < wordsOf(*matrices[m]) / unit; ++i)
      body += fmt::format("  ld.b{} %{}{}, [%d0+{}];\n", 32 * unit, letter, firsts[m] + i, 4 * unit * i);
  }
  unsigned wordsD = countC * bitsOf(typeD) / 32;
  body += fmt::format("  {} {}, {}, {}, {};\n", opcode, registersOf(letter, 40, wordsD / unit), registersOf(letter, 10, wordsOf(a) / unit),
                      registersOf(letter, 20, wordsOf(b) / unit), registersOf(letter, 30, wordsOf(c) / unit));
  body += fmt::format("  mad.wide.u32 %d1, %thread, {}, %out;\n", 4 * wordsD);
  for (unsigned i = 0; i < wordsD / unit; ++i)
    body += fmt::format("  st.b{} [%d1+{}], %{}{};\n", 32 * unit, 4 * unit * i, letter, 40 + i);
  Words out = run({.body = body, .inputs = {a, b, c}, .outputs = 32 * wordsD});
  product.d.assign(shape.m * 8, 0);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < countC; ++i) {
      Word bits = 0;
      std::memcpy(&bits, reinterpret_cast<const char *>(out.data() + lane * wordsD) + i * bitsOf(typeD) / 8, bitsOf(typeD) / 8);
      Place at = placeOfC(lane / 4, lane % 4, i);
      product.d[at.row * 8 + at.column] = decode(typeD, bits);
    }
}

template <typename F> static Product filled(const Shape &shape, F next) {
  Product product;
  for (unsigned i = 0; i < shape.m * shape.k; ++i)
    product.a.push_back(next());
  for (unsigned i = 0; i < shape.k * 8; ++i)
    product.b.push_back(next());
  for (unsigned i = 0; i < shape.m * 8; ++i)
    product.c.push_back(next());
  return product;
}

static double exactElement(const Shape &shape, const Product &product, unsigned row, unsigned column, double *scale = nullptr) {
  double sum = product.c[row * 8 + column], size = std::abs(sum);
  for (unsigned k = 0; k < shape.k; ++k) {
    double term = product.a[row * shape.k + k] * product.b[k * 8 + column];
    sum += term, size += std::abs(term);
  }
  if (scale)
    *scale = size;
  return sum;
}

/// Small integers: every order of addition gives the same, so the result is exact and shows the layout.
static void checkIntegers(const std::string &opcode, const Shape &shape) {
  std::mt19937 random(7);
  bool isUnsigned = opcode.find("u8") != std::string::npos;
  for (int round = 0; round < 3; ++round) {
    Product product = filled(shape, [&] { return double(random() % 8) - (isUnsigned ? 0 : 4); });
    multiply(opcode, shape, product);
    for (unsigned row = 0; row < shape.m; ++row)
      for (unsigned column = 0; column < 8; ++column)
        ASSERT_EQ(product.d[row * 8 + column], exactElement(shape, product, row, column)) << opcode << " " << row << "," << column;
  }
}

/// Random values: the error stays within that of an f32 (or f16) accumulation in some order.
static void checkFloats(const std::string &opcode, const Shape &shape, double unit) {
  std::mt19937 random(8);
  std::normal_distribution<double> normal;
  Opcode op(opcode);
  auto onGrid = [&](const std::string &type, double value) {
    if (type == "tf32")
      return oracle::toDouble(oracle::kF32, encode("f32", value) & 0xFFFFE000);
    return decode(type, encode(type, value));
  };
  Product product = filled(shape, [&] { return normal(random); });
  for (double &value : product.a)
    value = onGrid(op.type(2), value);
  for (double &value : product.b)
    value = onGrid(op.type(1), value);
  for (double &value : product.c)
    value = onGrid(op.type(), value);
  multiply(opcode, shape, product);
  for (unsigned row = 0; row < shape.m; ++row)
    for (unsigned column = 0; column < 8; ++column) {
      double scale = 0, exact = exactElement(shape, product, row, column, &scale);
      EXPECT_NEAR(product.d[row * 8 + column], exact, (shape.k + 2) * unit * scale) << opcode;
    }
}

/// A NaN or an infinity reaches the elements of its row or column, and no others.
static void checkSpecials(const std::string &opcode, const Shape &shape) {
  Product product = filled(shape, [] { return 1.0; });
  product.a[3 * shape.k + 1] = NAN;                  // row 3
  product.b[2 * 8 + 5] = INFINITY;                   // column 5
  product.a[(shape.m - 1) * shape.k + 2] = 0;        // 0 · ∞ there
  product.c[4 * 8 + 5] = -INFINITY;                  // ∞ − ∞ there
  product.c[6 * 8 + 1] = -INFINITY;
  multiply(opcode, shape, product);
  for (unsigned row = 0; row < shape.m; ++row)
    for (unsigned column = 0; column < 8; ++column) {
      double got = product.d[row * 8 + column], exact = exactElement(shape, product, row, column);
      EXPECT_TRUE(std::isnan(exact) ? std::isnan(got) : got == exact) << opcode << " " << row << "," << column << ": " << got << " for " << exact;
    }
}

static const std::string kMma = "mma.sync.aligned.";

static void halfProducts() {
  for (const char *types : {"f32.f16.f16.f32", "f16.f16.f16.f16", "f32.bf16.bf16.f32"}) {
    double unit = std::string(types).starts_with("f16") ? 0x1p-10 : 0x1p-23;
    for (auto [name, shape] : {std::pair("m16n8k16.row.col.", &kHalfK16), std::pair("m16n8k8.row.col.", &kHalfK8)}) {
      std::string opcode = kMma + name + types;
      checkIntegers(opcode, *shape);
      checkFloats(opcode, *shape, unit);
      checkSpecials(opcode, *shape);
    }
  }
}

static void tf32Products() {
  for (auto [name, shape] : {std::pair("m16n8k8.row.col.f32.tf32.tf32.f32", &kTf32K8), std::pair("m16n8k4.row.col.f32.tf32.tf32.f32", &kTf32K4)}) {
    checkIntegers(kMma + name, *shape);
    checkFloats(kMma + name, *shape, 0x1p-23);
    checkSpecials(kMma + name, *shape);
  }
}

static void doubleProducts() {
  for (const char *name : {"m8n8k4.row.col.f64.f64.f64.f64", "m8n8k4.row.col.rn.f64.f64.f64.f64"}) {
    checkIntegers(kMma + name, kDouble);
    checkFloats(kMma + name, kDouble, 0x1p-52);
  }
  const Shape *tall[] = {&kTallDoubleK4, &kTallDoubleK8, &kTallDoubleK16};
  for (const Shape *shape : tall)
    for (const std::string &types : expand(".row.col{.rn|}.f64.f64.f64.f64")) {
      std::string opcode = kMma + fmt::format("m16n8k{}", shape->k) + types;
      checkIntegers(opcode, *shape);
      checkFloats(opcode, *shape, 0x1p-52);
    }
}

static void byteProducts() {
  for (auto [name, shape] : {std::pair("m16n8k32.row.col", &kByteK32), std::pair("m16n8k16.row.col", &kByteK16)})
    for (const std::string &types : expand("{.satfinite|}.s32.{s8|u8}.{s8|u8}.s32")) {
      std::string opcode = kMma + name + types;
      if (types.find("s8.u8") == std::string::npos && types.find("u8.s8") == std::string::npos)
        checkIntegers(opcode, *shape);
      Opcode op(opcode); // the ends of the ranges, and sums beyond those of s32
      Product product = filled(*shape, [] { return 0.0; });
      auto lowest = [](const std::string &type) { return type == "s8" ? -128.0 : 0.0; };
      auto highest = [](const std::string &type) { return type == "s8" ? 127.0 : 255.0; };
      for (unsigned i = 0; i < product.a.size(); ++i)
        product.a[i] = i % 3 ? highest(op.type(2)) : lowest(op.type(2));
      for (unsigned i = 0; i < product.b.size(); ++i)
        product.b[i] = i % 5 ? highest(op.type(1)) : lowest(op.type(1));
      for (unsigned i = 0; i < product.c.size(); ++i)
        product.c[i] = i % 2 ? 2147483647.0 : -2147483648.0;
      multiply(opcode, *shape, product);
      for (unsigned row = 0; row < 16; ++row)
        for (unsigned column = 0; column < 8; ++column) {
          double exact = exactElement(*shape, product, row, column);
          double wanted = op.has("satfinite") ? std::min(std::max(exact, -2147483648.0), 2147483647.0)
                                              : static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::int64_t>(exact)));
          ASSERT_EQ(product.d[row * 8 + column], wanted) << opcode << " " << row << "," << column;
        }
    }
}

/// Summands lose what lies 13 places below the largest one's leading bit.
static void checkPlaces(const std::string &opcode) {
  for (auto [sum, wanted] : {std::pair(8192.0, 8192.0 + 32), std::pair(16384.0, 16384.0), std::pair(-16384.0, -16384.0)}) {
    Product product = filled(kByteK32, [] { return 1.0; });
    for (double &value : product.c)
      value = sum;
    multiply(opcode, kByteK32, product);
    for (double got : product.d)
      ASSERT_EQ(got, wanted) << opcode;
  }
}

static void float8Products() {
  for (const std::string &types : expand(".f32.{e4m3|e5m2}.{e4m3|e5m2}.f32")) {
    std::string opcode = kMma + "m16n8k32.row.col" + types;
    checkIntegers(opcode, kByteK32);
    checkFloats(opcode, kByteK32, 0x1p-13);
    checkPlaces(opcode);
  }
  checkSpecials(kMma + "m16n8k32.row.col.f32.e5m2.e5m2.f32", kByteK32);
}

/// Row i of matrix j comes from the address of lane 8j + i; lane 4g + t gets row g, columns 2t and 2t + 1, or transposed.
static void loadMatrices() {
  Words tile = lanes([](unsigned i) { return (2 * i) | (2 * i + 1) << 16; }, 128); // four 8×8 matrices of halves 0, 1, 2 …
  for (unsigned count : {1u, 2u, 4u})
    for (const std::string &trans : expand("{.trans|}"))
      for (const std::string &space : expand("{.shared|.shared::cta|}")) {
        std::string address = space.empty() ? "%d2" : "%r3";
        std::string fill = "  .shared .align 16 .b8 tile[512];\n  mov.u32 %r1, tile;\n  mad.lo.u32 %r2, %thread, 16, %r1;\n"
                           "  mad.wide.u32 %d0, %thread, 16, %in0;\n  ld.v4.u32 {%r4, %r5, %r6, %r7}, [%d0];\n"
                           "  st.shared.v4.u32 [%r2], {%r4, %r5, %r6, %r7};\n  bar.warp.sync -1;\n"
                           // lane l addresses row (l + 3) % 32, so that the order of rows is the lanes' own
                           "  add.u32 %r8, %thread, 3;\n  and.b32 %r8, %r8, 31;\n  mad.lo.u32 %r3, %r8, 16, %r1;\n"
                           "  cvt.u64.u32 %d1, %r3;\n  cvta.shared.u64 %d2, %d1;\n";
        std::string body = fill + fmt::format("  ldmatrix.sync.aligned.m8n8.x{}{}{}.b16 {}, [{}];\n  mad.wide.u32 %d3, %thread, {}, %out;\n",
                                              count, trans, space, registersOf('r', 20, count), address, 4 * count);
        for (unsigned i = 0; i < count; ++i)
          body += fmt::format("  st.u32 [%d3+{}], %r{};\n", 4 * i, 20 + i);
        Words out = run({.body = body, .inputs = {tile}, .outputs = 32 * count});
        for (unsigned lane = 0; lane < 32; ++lane)
          for (unsigned matrix = 0; matrix < count; ++matrix)
            for (unsigned half = 0; half < 2; ++half) {
              unsigned row = trans.empty() ? lane / 4 : 2 * (lane % 4) + half, column = trans.empty() ? 2 * (lane % 4) + half : lane / 4;
              unsigned stored = (8 * matrix + row + 3) % 32;
              ASSERT_EQ(out[lane * count + matrix] >> (16 * half) & 0xFFFF, 8 * stored + column) << "x" << count << trans << space;
            }
      }
}

std::vector<ProgramCase> matrixCases() {
  return {{"half_products", halfProducts}, {"tf32_products", tf32Products}, {"double_products", doubleProducts},
          {"byte_products", byteProducts}, {"float8_products", float8Products}, {"load_matrices", loadMatrices}};
}

} // namespace attn::emulator::testing
