import Foundation
import Safetensors

/// Reads bytes as JSON and as a safetensors file; what libFuzzer calls for every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func read(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    if let document = try? JSON.parse(bytes) {
        // What was read is written so that it reads as the same.
        guard (try? JSON.parse(document.text(pretty: false))) == document else { fatalError("another document") }
    }
    do {
        let path = "\(NSTemporaryDirectory())/lowrank-libfuzzer-\(getpid())"
        try AtomicFile.write(bytes, to: path, durability: .deferred)
        let file = try SafetensorsFile(path: path)
        for tensor in file.tensors { _ = try file.bytes(of: tensor.name).array(of: UInt8.self) }
    } catch {
        if "\(error)".isEmpty { fatalError("an error without a message") }
    }
    return 0
}
