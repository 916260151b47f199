"""VPO: VPO-SS, VPO-MS and VPO-MSMI."""
