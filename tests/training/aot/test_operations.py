"""Costs of the operations of a compiled program, from its text."""

import pytest

from morning_jax.training.aot import operations

TEXT = """HloModule step

%fused.1 (p: bf16[4,8], q: bf16[8,16]) -> f32[4,16] {
  %p = bf16[4,8]{1,0} parameter(0)
  %q = bf16[8,16]{1,0} parameter(1)
  ROOT %dot = f32[4,16]{1,0} convolution(%p, %q), dim_labels=bf_io->bf, \
metadata={op_name="jit(step)/block/dot_general"}
}

%part.1 (p: f32[900,8], s: s32[]) -> f32[9,8] {
  %p.1 = f32[900,8]{1,0} parameter(0)
  %s.1 = s32[] parameter(1)
  ROOT %slice.1 = f32[9,8]{1,0} dynamic-slice(%p.1, %s.1), \
dynamic_slice_sizes={9,8}
}

%fused.3 (p: f32[900,8], q: f32[900,8], s: s32[]) -> f32[9,8] {
  %q.3 = f32[900,8]{1,0} parameter(1)
  %p.3 = f32[900,8]{1,0} parameter(0)
  %s.3 = s32[] parameter(2)
  %block.3 = f32[9,8]{1,0} fusion(%p.3, %s.3), kind=kLoop, calls=%part.1
  %sum.3 = f32[900,8]{1,0} add(%q.3, %q.3)
  ROOT %all.3 = f32[9,8]{1,0} custom(%block.3, %sum.3)
}

%condition.1 (t: s32[]) -> pred[] {
  %bound = s32[] constant(5)
}

%body.1 (t: bf16[4,8]) -> f32[4,16] {
  %x = bf16[4,8]{1,0} parameter(0)
  %y = bf16[8,16]{1,0:T(8,128)S(1)} parameter(1)
  %f = f32[4,16]{1,0:T(8,128)} fusion(%x, %y), kind=kOutput, calls=%fused.1
  %c = f32[900,8]{1,0} parameter(2)
  %d = f32[900,8]{1,0} parameter(3)
  %n = s32[]{:S(6)} parameter(4)
  %g = f32[9,8]{1,0:S(1)} fusion(%c, %d, %n), kind=kLoop, calls=%fused.3
}

%apart.1 (table: f32[1000,4]) -> f32[20,4] {
  %apart.table = f32[1000,4]{1,0} parameter(0)
  ROOT %custom = f32[20,4]{1,0} custom-call(%apart.table)
}

ENTRY %main (table: f32[1000,4]) -> f32[4,4] {
  %table = f32[1000,4]{1,0} parameter(0)
  %w = f32[4,16] while(%t), condition=%condition.1, body=%body.1
  %far = (f32[1000,4]{1,0:S(1)}, f32[1000,4]{1,0}, u32[]{:S(2)}) \
copy-start(%table)
  %near = f32[1000,4]{1,0:S(1)} copy-done(%far)
  %begun = ((), (), s32[9]) async-start(), calls=%apart.1, \
metadata={op_name="jit(step)/lookup/gather"}
  %goes = ((f32[1000,4]{1,0}), f32[20,4]{1,0}, s32[9]) \
async-update(%begun, %table)
  %ends = f32[20,4]{1,0} async-done(%goes)
  ROOT %rows = f32[10,4]{1,0} fusion(%table), kind=kCustom, calls=%fused.2, \
metadata={op_name="jit(step)/table/gather"}
}
"""


def test_bytes_off_chip_and_products_in_loops():
  found = {o.name: o for o in operations.operations(TEXT)}
  product = found['dot (block/dot_general)']
  assert product.flops == pytest.approx(5 * 2 * 4 * 8 * 16)
  assert product.bytes == 0  # its fusion's are counted
  # Read once and written a time; what is on the chip is not counted.
  assert found['f (fusion)'].bytes == 5 * (4 * 8 * 2 + 4 * 16 * 4)
  # A gather reads what it yields, not the table.
  assert found['rows (table/gather)'].bytes == 2 * 10 * 4 * 4
  # A fusion that slices one operand, and takes the other as a whole.
  assert found['g (fusion)'].bytes == 5 * (9 * 8 * 4 + 900 * 8 * 4 + 4)
  # A copy onto the chip reads its operand once.
  assert found['far (copy-start)'].bytes == 1000 * 4 * 4 + 4
  # What is started elsewhere counts there, by the name of its start.
  assert found['begun (lookup/gather)'].bytes == 2 * 20 * 4 * 4
  assert len(found) == 6
