// RUN: attn-opt %s --nvvm-pipeline | FileCheck %s
// Two parts multiply every other step of the depth each, the second 32 bytes behind the first, and add up what they have; both
// then have all weights of a block, which are multiplied with their half of the values' columns under the softmax of the next.
// CHECK-LABEL: llvm.func @full_288_in_parts(
// CHECK: m64n32k16.f32.f16.f16 {{.*}}, a, b, set
// CHECK-SAME: add.s64 a, ${{[0-9]+}}, 4;
// CHECK-SAME: wgmma.commit_group
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK: m64n32k16.f32.f16.f16
// CHECK: m64n192k16.f32.f16.f16
// CHECK: wgmma.wait_group.sync.aligned 1
!acc_64x32xf32 = !tile.frag<64x32xf32, #tile.acc<4>>
!acc_64x384xf16 = !tile.frag<64x384xf16, #tile.acc<8, parts = 2>>
!acc_64x384xf32 = !tile.frag<64x384xf32, #tile.acc<8, parts = 2>>
!acc_64x64xf32 = !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>
!buffer_2x1024xf32 = !tile.buffer<2x1024xf32, #tile.smem<0>>
!buffer_32x384xf16 = !tile.buffer<32x384xf16, #tile.smem<128>>
!buffer_64x384xf16 = !tile.buffer<64x384xf16, #tile.smem<128>>
!inflight_64x384xf32 = !tile.inflight<64x384xf32, #tile.acc<8, parts = 2>>
!inflight_64x64xf32 = !tile.inflight<64x64xf32, #tile.acc<8, parts = 2>>
!lhs_64x32xf16 = !tile.frag<64x32xf16, #tile.lhs<4>>
!ring1_64x384xf16 = !tile.ring<1, 64x384xf16, #tile.smem<128>>
!ring3_32x384xf16 = !tile.ring<3, 32x384xf16, #tile.smem<128>>
!row_64xf32 = !tile.frag<64xf32, #tile.row<8, parts = 2>>
!row_partial_64xf32 = !tile.frag<64xf32, #tile.row_partial<4>>
!tensor = !tile.tensor<[batch, q_len, 4, 288], f16>
!tensor1 = !tile.tensor<[batch, kv_len, 2, 288], f16>
!tensor2 = !tile.tensor<[batch, 4, q_len], f32>
module attributes {tile.target = #tile.target<"sm_90a">} {
  func.func @full_288_in_parts(%arg0: !tensor {attn.name = "query"}, %arg1: !tensor1 {attn.name = "key"}, %arg2: !tensor1 {attn.name = "value"}, %arg3: !tensor {attn.name = "out", tile.output}, %arg4: !tensor2 {attn.name = "lse", tile.output}) attributes {tile.cut_depth, tile.kept = 128 : i32, tile.kernel, tile.parts = 2 : i32, tile.shared_bytes = 204800 : i32, tile.stages = 3 : i32, tile.warps = 12 : i32} {
    %c0_i32 = arith.constant 0 : i32
    %0 = tile.ring {offset = 0 : i32} : !ring1_64x384xf16
    %1 = tile.ring {offset = 49152 : i32} : !ring3_32x384xf16
    %2 = tile.ring {offset = 122880 : i32} : !ring3_32x384xf16
    %3 = tile.alloc {offset = 196608 : i32} : !buffer_2x1024xf32
    %4 = tile.alloc {offset = 0 : i32} : !buffer_64x384xf16
    %cst = arith.constant 0.0850116237 : f32
    %cst_0 = arith.constant 0xFF800000 : f32
    %c1_i32 = arith.constant 1 : i32
    %c0_i32_1 = arith.constant 0 : i32
    %c2_i32 = arith.constant 2 : i32
    %c32_i32 = arith.constant 32 : i32
    %batch = tile.size %arg0, 0 : !tensor
    %q_len = tile.size %arg0, 1 : !tensor
    %5 = arith.ceildivsi %q_len, %c32_i32 : i32
    %6 = tile.splat 0xFF800000 : !row_64xf32
    %7 = tile.splat 0.000000e+00 : !row_64xf32
    %8 = tile.splat 0.000000e+00 : !acc_64x384xf32
    %9 = tile.splat 0.000000e+00 : !acc_64x64xf32
    %10 = tile.splat 0.000000e+00 : !acc_64x32xf32
    %kv_len = tile.size %arg1, 1 : !tensor1
    tile.role producer warps [8 to 12] registers 24 {
      %c0_i32_2 = arith.constant 0 : i32
      %11:2 = tile.foreach_work %batch, %c2_i32, %5 carry(%c0_i32_2, %c0_i32_2 : i32, i32) -> i32, i32 {
      ^work(%b: i32, %h: i32, %t: i32, %arg5: i32, %arg6: i32):
        %12 = arith.addi %arg5, %c0_i32 : i32
        %13 = arith.addi %arg6, %c0_i32_1 : i32
        %14 = arith.muli %t, %c32_i32 : i32
        %15 = arith.muli %h, %c2_i32 : i32
        %q_len_3 = tile.size %arg0, 1 : !tensor
        %c0_i32_4 = arith.constant 0 : i32
        %16 = arith.cmpi sgt, %q_len_3, %c0_i32_4 : i32
        tile.acquire %1[%13] : !ring3_32x384xf16
        %17 = arith.ceildivsi %kv_len, %c32_i32 : i32
        %18 = arith.maxsi %17, %c1_i32 : i32
        %19 = arith.addi %c0_i32_1, %c1_i32 : i32
        %20 = arith.subi %18, %19 : i32
        %21 = arith.muli %20, %c32_i32 : i32
        %kv_len_5 = tile.size %arg1, 1 : !tensor1
        %c0_i32_6 = arith.constant 0 : i32
        %22 = arith.cmpi sgt, %kv_len_5, %c0_i32_6 : i32
        tile.fill %1[%13] from %arg1[%b, %21, %h] along 1 if %22 {via = "tma"} : !ring3_32x384xf16, !tensor1
        tile.acquire %0[%12] : !ring1_64x384xf16
        tile.fill %0[%12] from %arg0[%b, %14, %15] along 1 if %16 {pack = 2 : i32, via = "tma"} : !ring1_64x384xf16, !tensor
        scf.for %arg7 = %c1_i32 to %18 step %c1_i32  : i32 {
          %31 = arith.addi %arg6, %arg7 : i32
          tile.acquire %1[%31] : !ring3_32x384xf16
          %32 = arith.addi %arg7, %c1_i32 : i32
          %33 = arith.subi %18, %32 : i32
          %34 = arith.muli %33, %c32_i32 : i32
          %kv_len_10 = tile.size %arg1, 1 : !tensor1
          %c0_i32_11 = arith.constant 0 : i32
          %35 = arith.cmpi sgt, %kv_len_10, %c0_i32_11 : i32
          tile.fill %1[%31] from %arg1[%b, %34, %h] along 1 if %35 {via = "tma"} : !ring3_32x384xf16, !tensor1
          %36 = arith.subi %arg7, %c1_i32 : i32
          %37 = arith.addi %arg6, %36 : i32
          tile.acquire %2[%37] : !ring3_32x384xf16
          %38 = arith.addi %36, %c1_i32 : i32
          %39 = arith.subi %18, %38 : i32
          %40 = arith.muli %39, %c32_i32 : i32
          %kv_len_12 = tile.size %arg2, 1 : !tensor1
          %c0_i32_13 = arith.constant 0 : i32
          %41 = arith.cmpi sgt, %kv_len_12, %c0_i32_13 : i32
          tile.fill %2[%37] from %arg2[%b, %40, %h] along 1 if %41 {via = "tma"} : !ring3_32x384xf16, !tensor1
        }
        %23 = arith.subi %18, %c1_i32 : i32
        %24 = arith.addi %arg6, %23 : i32
        tile.acquire %2[%24] : !ring3_32x384xf16
        %25 = arith.addi %23, %c1_i32 : i32
        %26 = arith.subi %18, %25 : i32
        %27 = arith.muli %26, %c32_i32 : i32
        %kv_len_7 = tile.size %arg2, 1 : !tensor1
        %c0_i32_8 = arith.constant 0 : i32
        %28 = arith.cmpi sgt, %kv_len_7, %c0_i32_8 : i32
        tile.fill %2[%24] from %arg2[%b, %27, %h] along 1 if %28 {via = "tma"} : !ring3_32x384xf16, !tensor1
        %c1_i32_9 = arith.constant 1 : i32
        %29 = arith.addi %arg5, %c1_i32_9 : i32
        %30 = arith.addi %arg6, %18 : i32
        tile.yield %29, %30 : i32, i32
      }
    }
    tile.role consumer warps [0 to 8] registers 240 {
      %c0_i32_2 = arith.constant 0 : i32
      %11:2 = tile.foreach_work %batch, %c2_i32, %5 carry(%c0_i32_2, %c0_i32_2 : i32, i32) -> i32, i32 {
      ^work(%b: i32, %h: i32, %t: i32, %arg5: i32, %arg6: i32):
        %12 = arith.addi %arg6, %c0_i32_1 : i32
        %13 = arith.addi %arg5, %c0_i32 : i32
        %14 = arith.muli %h, %c2_i32 : i32
        %15 = arith.muli %t, %c32_i32 : i32
        %16 = arith.ceildivsi %kv_len, %c32_i32 : i32
        %17 = arith.maxsi %16, %c1_i32 : i32
        %18 = arith.floordivsi %kv_len, %c32_i32 : i32
        %19 = tile.await %0[%13] : !ring1_64x384xf16 -> !buffer_64x384xf16
        %20 = tile.splat 0.000000e+00 : !row_partial_64xf32
        %21 = arith.addi %c0_i32_1, %c1_i32 : i32
        %22 = arith.subi %17, %21 : i32
        %23 = arith.muli %22, %c32_i32 : i32
        %24 = tile.await %1[%12] : !ring3_32x384xf16 -> !buffer_32x384xf16
        %25 = tile.dot_async %19, trans %24, %9 : !buffer_64x384xf16, !buffer_32x384xf16, !acc_64x64xf32 -> !inflight_64x64xf32
        %26 = tile.wait %25 : !inflight_64x64xf32 -> !acc_64x64xf32
        tile.release %1[%12] : !ring3_32x384xf16
        %27 = tile.add_parts %26, %3 : !acc_64x64xf32, !buffer_2x1024xf32 -> !acc_64x32xf32
        %28 = arith.subi %kv_len, %23 : i32
        %29 = tile.map %27 : (!acc_64x32xf32) -> !acc_64x32xf32 {
        ^element(%arg7: f32):
          %col = tile.col
          %42 = arith.cmpi slt, %col, %28 : i32
          %43 = arith.select %42, %arg7, %cst_0 : f32
          tile.yield %43 : f32
        }
        %new_row_max, %new_row_sum, %alpha, %probs = tile.softmax_step %29, %6, %20 scale %cst {lazy = 8.000000e+00 : f32} : !acc_64x32xf32, !row_64xf32, !row_partial_64xf32
        %30 = tile.convert %probs : !acc_64x32xf32 -> !lhs_64x32xf16
        %31:4 = scf.for %arg7 = %c1_i32 to %17 step %c1_i32 iter_args(%arg8 = %new_row_max, %arg9 = %new_row_sum, %arg10 = %8, %arg11 = %30) -> (!row_64xf32, !row_partial_64xf32, !acc_64x384xf32, !lhs_64x32xf16)  : i32 {
          %42 = arith.addi %arg6, %arg7 : i32
          %43 = arith.subi %arg7, %c1_i32 : i32
          %44 = arith.addi %arg6, %43 : i32
          %45 = arith.addi %arg7, %c1_i32 : i32
          %46 = arith.subi %17, %45 : i32
          %47 = arith.muli %46, %c32_i32 : i32
          %48 = tile.await %1[%42] : !ring3_32x384xf16 -> !buffer_32x384xf16
          %49 = tile.dot_async %19, trans %48, %9 : !buffer_64x384xf16, !buffer_32x384xf16, !acc_64x64xf32 -> !inflight_64x64xf32
          %50 = tile.await %2[%44] : !ring3_32x384xf16 -> !buffer_32x384xf16
          %51 = tile.dot_async %arg11, %50, %arg10 : !lhs_64x32xf16, !buffer_32x384xf16, !acc_64x384xf32 -> !inflight_64x384xf32
          %52 = tile.wait %49 : !inflight_64x64xf32 -> !acc_64x64xf32
          tile.release %1[%42] : !ring3_32x384xf16
          %53 = tile.add_parts %52, %3 : !acc_64x64xf32, !buffer_2x1024xf32 -> !acc_64x32xf32
          %54 = arith.cmpi slt, %46, %18 : i32
          %55 = scf.if %54 -> (!acc_64x32xf32) {
            scf.yield %53 : !acc_64x32xf32
          } else {
            %59 = arith.subi %kv_len, %47 : i32
            %60 = tile.map %53 : (!acc_64x32xf32) -> !acc_64x32xf32 {
            ^element(%arg12: f32):
              %col = tile.col
              %61 = arith.cmpi slt, %col, %59 : i32
              %62 = arith.select %61, %arg12, %cst_0 : f32
              tile.yield %62 : f32
            }
            scf.yield %60 : !acc_64x32xf32
          }
          %new_row_max_4, %new_row_sum_5, %alpha_6, %probs_7 = tile.softmax_step %55, %arg8, %arg9 scale %cst {lazy = 8.000000e+00 : f32} : !acc_64x32xf32, !row_64xf32, !row_partial_64xf32
          tile.pin %new_row_sum_5 : !row_partial_64xf32
          %56 = tile.wait %51 : !inflight_64x384xf32 -> !acc_64x384xf32
          tile.release %2[%44] : !ring3_32x384xf16
          %57 = tile.convert %probs_7 : !acc_64x32xf32 -> !lhs_64x32xf16
          %58 = tile.scale %56, %alpha_6 : !acc_64x384xf32, !row_64xf32
          scf.yield %new_row_max_4, %new_row_sum_5, %58, %57 : !row_64xf32, !row_partial_64xf32, !acc_64x384xf32, !lhs_64x32xf16
        }
        %32 = arith.subi %17, %c1_i32 : i32
        %33 = arith.addi %arg6, %32 : i32
        %34 = tile.await %2[%33] : !ring3_32x384xf16 -> !buffer_32x384xf16
        %35 = tile.dot_async %31#3, %34, %31#2 : !lhs_64x32xf16, !buffer_32x384xf16, !acc_64x384xf32 -> !inflight_64x384xf32
        %36 = tile.wait %35 : !inflight_64x384xf32 -> !acc_64x384xf32
        tile.release %2[%33] : !ring3_32x384xf16
        %37 = tile.convert %31#1 : !row_partial_64xf32 -> !row_64xf32
        %inverse, %lse = tile.finish %31#0, %37 scale %cst : !row_64xf32, !row_64xf32 -> !row_64xf32, !row_64xf32
        %38 = tile.scale %36, %inverse : !acc_64x384xf32, !row_64xf32
        %39 = tile.convert %38 : !acc_64x384xf32 -> !acc_64x384xf16
        tile.await_stores %4 : !buffer_64x384xf16
        tile.write %39, %4 : !acc_64x384xf16, !buffer_64x384xf16
        tile.fence async_proxy
        tile.store %4, %arg3[%b, %15, %14] along 1 {pack = 2 : i32, via = "tma"} : !buffer_64x384xf16, !tensor
        tile.await_stores %4 : !buffer_64x384xf16
        tile.release %0[%13] : !ring1_64x384xf16
        tile.store %lse, %arg4[%b, %14, %15] along 2 {pack = 2 : i32} : !row_64xf32, !tensor2
        %c1_i32_3 = arith.constant 1 : i32
        %40 = arith.addi %arg5, %c1_i32_3 : i32
        %41 = arith.addi %arg6, %17 : i32
        tile.yield %40, %41 : i32, i32
      }
      tile.await_stores %4 : !buffer_64x384xf16
    }
    return
  }
}

