// RUN: attn-opt %s --tile-build-strips --canonicalize --cse | FileCheck %s
// A bucket by logarithms has few values, whatever the distance: they are a table of constants. Where the function never
// becomes constant, or needs a number of the launch, there is none.

!acc = !tile.frag<64x32xf32, #tile.acc<4>>
!table = !tile.tensor<[32], f32>
!out = !tile.tensor<[batch, q_len, 1, 32], f32>

module attributes {tile.target = #tile.target<"sm_80">} {
  // min(|d|, 4 + floor(log2(|d| / 4))) up to 7, at -32 … 32: the index is one of the 32 rows, so the read needs no guard.
  // CHECK-LABEL: func.func @buckets
  // CHECK: tile.build
  // CHECK: ^{{.*}}(%[[C:.*]]: i32):
  // CHECK-NOT: math.log2
  // CHECK: %[[D:.*]] = arith.subi %{{.*}}, %arg1
  // CHECK-NEXT: %[[A:.*]] = arith.minsi %[[D]], %c32_i32
  // CHECK: %[[B:.*]] = arith.maxsi %[[A]], %c-32_i32
  // CHECK: %[[P:.*]] = arith.addi %[[B]], %c32_i32
  // CHECK: %[[BUCKET:.*]] = tile.lookup dense<[7, 6, 6, {{.*}}, 5, 4, 4, 4, 4, 3, 2, 1, 0, 1, 2, 3, 4, 4, 4, 4, 5, {{.*}}, 6, 7]> : vector<65xi32>[%[[P]]]
  // CHECK: tile.param %{{.*}}[%[[BUCKET]]] : !tensor{{.*}} -> f32
  // CHECK: tile.yield
  func.func @buckets(%table: !table {attn.name = "table"}, %q0: i32, %n: i32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32
    %four = arith.constant 4 : i32   %seven = arith.constant 7 : i32   %real = arith.constant 4.0 : f64
    %x = tile.splat 0.0 : !acc
    %r = scf.for %i = %zero to %n step %one iter_args(%s = %x) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %q = arith.addi %q0, %row : i32   %k = arith.addi %k0, %col : i32   %d = arith.subi %k, %q : i32
        %size = math.absi %d : i32   %near = arith.cmpi slt, %size, %four : i32
        %f = arith.sitofp %size : i32 to f64   %g = arith.divf %f, %real : f64   %l = math.log2 %g : f64
        %fl = math.floor %l : f64   %far = arith.fptosi %fl : f64 to i32   %more = arith.addi %far, %four : i32
        %most = arith.minsi %more, %seven : i32   %bucket = arith.select %near, %size, %most : i32
        %inside = arith.cmpi ult, %bucket, %half : i32
        %b = tile.param %table[%bucket] if %inside : !table -> f32
        %t = arith.addf %e, %b : f32
        tile.yield %t : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }

  // floor(log2(|d| + 1)) grows on and on; a bucket of a size given at launch is no constant.
  // CHECK-LABEL: func.func @others
  // CHECK: math.log2
  // CHECK: math.log2
  // CHECK-NOT: tile.lookup
  func.func @others(%table: !table {attn.name = "table"}, %q0: i32, %n: i32, %out: !out {attn.name = "out", tile.output}) attributes {tile.kernel, tile.warps = 4 : i32, tile.stages = 1 : i32} {
    %zero = arith.constant 0 : i32   %one = arith.constant 1 : i32   %half = arith.constant 32 : i32   %seven = arith.constant 7 : i32
    %x = tile.splat 0.0 : !acc
    %r = scf.for %i = %zero to %n step %one iter_args(%s = %x) -> (!acc) : i32 {
      %k0 = arith.muli %i, %half : i32
      %y = tile.map %s : (!acc) -> !acc { ^element(%e: f32):
        %row = tile.row   %col = tile.col
        %q = arith.addi %q0, %row : i32   %k = arith.addi %k0, %col : i32   %d = arith.subi %k, %q : i32
        %size = math.absi %d : i32   %next = arith.addi %size, %one : i32
        %f = arith.sitofp %next : i32 to f64   %l = math.log2 %f : f64   %fl = math.floor %l : f64   %bucket = arith.fptosi %fl : f64 to i32
        %b = tile.param %table[%bucket] : !table -> f32
        %scaled = arith.muli %next, %n : i32
        %f2 = arith.sitofp %scaled : i32 to f64   %l2 = math.log2 %f2 : f64   %fl2 = math.floor %l2 : f64   %far = arith.fptosi %fl2 : f64 to i32
        %bucket2 = arith.minsi %far, %seven : i32
        %b2 = tile.param %table[%bucket2] : !table -> f32
        %both = arith.addf %b, %b2 : f32
        %t = arith.addf %e, %both : f32
        tile.yield %t : f32 }
      scf.yield %y : !acc
    }
    tile.store %r, %out[%zero, %zero, %zero] along 1 : !acc, !out
    return
  }
}
