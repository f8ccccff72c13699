// Products of f32 in the `tile` dialect, on the virtual GPU against sums in float64: each of the four forms in which operands
// come (left in a buffer or in registers, right stored N x K or K x N), as three products of tf32 and as one.
#include "driver/Compiler.h"
#include "tools/attnc/PlanRun.h"

#include "attn/Device.h"
#include "attn/Module.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>

namespace attn {

namespace {
struct Shape {
  int m, n, k;
};

struct Form {
  Shape shape;
  bool leftInRegisters, transposed, tf32;

  std::string name() const {
    return fmt::format("{}x{}x{}_{}_{}{}", shape.m, shape.n, shape.k, leftInRegisters ? "registers" : "buffer", transposed ? "NxK" : "KxN",
                       tf32 ? "_tf32" : "");
  }
};

class Tf32Product : public testing::TestWithParam<std::tuple<Shape, bool, bool, bool>> {
protected:
  Form form() const {
    auto [shape, leftInRegisters, transposed, tf32] = GetParam();
    return {shape, leftInRegisters, transposed, tf32};
  }
};
} // namespace

static std::string plainBuffer(int rows, int columns) { return fmt::format("{}x{}xf32, #tile.smem<0, pitch = {}>", rows, columns, columns + 4); }

/// One work tile of two warps: c = a·b, or a·bᵀ.
static std::string kernelText(const Form &form) {
  auto [m, n, k] = form.shape;
  int rows = form.transposed ? n : k, columns = form.transposed ? k : n;
  std::string a = plainBuffer(m, k), b = plainBuffer(rows, columns);
  int bytesOfA = 4 * m * (k + 4), bytes = bytesOfA + 4 * rows * (columns + 4);
  std::string left = form.leftInRegisters ? "%l" : "%x";
  std::string leftType = form.leftInRegisters ? "!L" : "!tile.buffer<" + a + ">";
  std::string text = fmt::format("!a = !tile.tensor<[1, {}, 1, {}], f32>  !b = !tile.tensor<[1, {}, 1, {}], f32>  !c = !tile.tensor<[1, {}, 1, {}], f32>\n",
                                 m, k, rows, columns, m, n);
  text += fmt::format("!F = !tile.frag<{}x{}xf32, #tile.acc<2>>  !L = !tile.frag<{}x{}xf32, #tile.lhs<2>>  !C = !tile.frag<{}x{}xf32, #tile.acc<2>>\n", m, k, m, k, m, n);
  text += "module attributes {tile.target = #tile.target<\"sm_80\">} {\n";
  text += fmt::format("func.func @product(%a: !a {{attn.name = \"a\"}}, %b: !b {{attn.name = \"b\"}}, %c: !c {{attn.name = \"c\", tile.output}}) attributes "
                      "{{tile.kernel, tile.shared_bytes = {} : i32, tile.stages = 1 : i32, tile.warps = 2 : i32{}}} {{\n",
                      bytes, form.tf32 ? ", tile.tf32" : "");
  text += "  %c0 = arith.constant 0 : i32   %c1 = arith.constant 1 : i32   %zero = tile.splat 0.0 : !C\n";
  text += fmt::format("  %ra = tile.ring {{offset = 0 : i32}} : !tile.ring<1, {}>\n  %rb = tile.ring {{offset = {} : i32}} : !tile.ring<1, {}>\n", a, bytesOfA, b);
  text += "  tile.foreach_work %c1, %c1, %c1 { ^work(%i: i32, %j: i32, %t: i32):\n";
  text += fmt::format("    tile.fill %ra[%c0] from %a[%c0, %c0, %c0] along 1 {{via = \"cp_async\"}} : !tile.ring<1, {}>, !a\n", a);
  text += fmt::format("    tile.fill %rb[%c0] from %b[%c0, %c0, %c0] along 1 {{via = \"cp_async\"}} : !tile.ring<1, {}>, !b\n", b);
  text += fmt::format("    %x = tile.await %ra[%c0] {{barrier, pending = 1 : i32}} : !tile.ring<1, {}> -> !tile.buffer<{}>\n", a, a);
  text += fmt::format("    %y = tile.await %rb[%c0] {{barrier, pending = 0 : i32}} : !tile.ring<1, {}> -> !tile.buffer<{}>\n", b, b);
  if (form.leftInRegisters)
    text += fmt::format("    %f = tile.read %x : !tile.buffer<{}> -> !F\n    %l = tile.convert %f : !F -> !L\n", a);
  text += fmt::format("    %p = tile.dot {}, {}%y, %zero : {}, !tile.buffer<{}> -> !C\n", left, form.transposed ? "trans " : "", leftType, b);
  text += "    tile.store %p, %c[%c0, %c0, %c0] along 1 : !C, !c\n  }\n  return\n}\n}\n";
  return text;
}

static HostTensor randomTensor(std::int64_t rows, std::int64_t columns, std::mt19937 &random) {
  HostTensor tensor(ElementType::F32, {1, rows, 1, columns});
  std::normal_distribution<float> normal;
  for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.set(i, normal(random));
  return tensor;
}

/// The largest error of an element, over the sum of its products' sizes.
static double worstError(const Form &form, const HostTensor &a, const HostTensor &b, const HostTensor &c) {
  auto [m, n, k] = form.shape;
  double worst = 0;
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column) {
      double sum = 0, size = 0;
      for (int depth = 0; depth < k; ++depth) {
        double product = a.get(row * k + depth) * b.get(form.transposed ? column * k + depth : depth * n + column);
        sum += product;
        size += std::fabs(product);
      }
      worst = std::max(worst, std::fabs(c.get(row * n + column) - sum) / size);
    }
  return worst;
}

TEST_P(Tf32Product, IsThatOfFloat64) {
  Form form = this->form();
  driver::CompileRequest request;
  request.source = kernelText(form);
  request.from = driver::Stage::Tile;
  Result<driver::CompiledPlan> compiled = driver::compileSpec(request);
  ASSERT_TRUE(compiled) << compiled.status().message() << request.source;
  EXPECT_EQ(compiled->manifest.tf32, form.tf32);
  Result<Device> device = Device::open("emulator", {.target = "sm_80", .emulator = {.checks = EmulatorOptions::Checks::Full}});
  ASSERT_TRUE(device) << device.status().message();
  Result<Module> module = Module::fromPtx(*device, compiled->ptx, toJson(compiled->manifest));
  ASSERT_TRUE(module) << module.status().message();
  Result<Plan> plan = module->plan();
  ASSERT_TRUE(plan) << plan.status().message();
  std::mt19937 random(5);
  auto [m, n, k] = form.shape;
  tools::PlanInputs inputs;
  inputs.tensors.emplace("a", randomTensor(m, k, random));
  inputs.tensors.emplace("b", form.transposed ? randomTensor(n, k, random) : randomTensor(k, n, random));
  Result<tools::NamedTensors> outputs = tools::runPlan(*device, *plan, inputs);
  ASSERT_TRUE(outputs) << outputs.status().message();
  double error = worstError(form, inputs.tensors.at("a"), inputs.tensors.at("b"), outputs->at("c"));
  if (form.tf32) {
    EXPECT_LT(error, 0x1p-10);
    EXPECT_GT(error, 0x1p-15);
  } else {
    EXPECT_LT(error, 0x1p-21);
    EXPECT_GT(error, 0); // f32 cannot be exact here
  }
}

static std::string nameOf(const testing::TestParamInfo<Tf32Product::ParamType> &info) {
  auto [shape, leftInRegisters, transposed, tf32] = info.param;
  return Form{shape, leftInRegisters, transposed, tf32}.name();
}

// Two rows of 16 a warp or one; columns in whole groups of tiles and not.
INSTANTIATE_TEST_SUITE_P(Forms, Tf32Product,
                         testing::Combine(testing::Values(Shape{64, 40, 32}, Shape{32, 72, 48}), testing::Bool(), testing::Bool(), testing::Bool()),
                         nameOf);

} // namespace attn
