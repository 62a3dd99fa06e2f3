# SPDX-License-Identifier: Apache-2.0
"""What only a component needs. `gym-host build` puts it in; nothing here is for use by environments."""
