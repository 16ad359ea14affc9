"""The duties of a store, one file each: `StoreConformance` puts them together. They know no engine."""
