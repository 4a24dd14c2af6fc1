/// One kernel of one instruction set: a plain function that is told its work by a struct of raw pointers and integers.
///
/// Only this crosses the border between a module compiled for one instruction set and the rest of the program. Nothing
/// generic does, because generic code that does not inline is emitted as a weak symbol under the same name in every
/// module, and the linker would be free to hand the baseline path AVX-512 code.
public struct Kernel<Task>: Sendable {
    public typealias Entry = @convention(c) (UnsafeRawPointer) -> Void

    @usableFromInline let entry: Entry

    @inlinable
    public init(_ entry: Entry) {
        self.entry = entry
    }

    /// Does the work.
    @inlinable
    public func callAsFunction(_ task: Task) {
        withUnsafePointer(to: task) { entry(UnsafeRawPointer($0)) }
    }
}
