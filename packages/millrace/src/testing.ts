// millrace/testing: a pipeline as a unit test, for those who have installed millrace alone.
export * from '@millrace/core/testing'
