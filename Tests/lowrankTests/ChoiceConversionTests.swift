import Foundation
import Safetensors
import Testing

/// Public multiple-choice sets, as their authors publish them and as other copies have them, to the file of
/// `--choices`.
struct ChoiceConversionTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private static let python = ["/usr/bin/python3", "/usr/local/bin/python3", "/opt/homebrew/bin/python3"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    /// One question of each set, written for this test, with what lm-evaluation-harness makes of such a row.
    private static let samples: [(set: String, file: String, text: String, line: String)] = [
        (
            "mmlu", "lunar_botany_test.csv", "\" How many \"\"moons\"\" has it?\",0,1,\"2, or so\",3,C\n",
            #"{"context":"The following are multiple choice questions (with answers) about lunar botany.\n\n"#
                + #"How many \"moons\" has it?\nA. 0\nB. 1\nC. 2, or so\nD. 3\nAnswer:","#
                + #""choices":["A","B","C","D"],"answer":2}"#
        ),
        (
            "mmlu", "mmlu.jsonl", #"{"question":"Which?","subject":"art","choices":["x","y"],"answer":1}"#,
            #"{"context":"The following are multiple choice questions (with answers) about art.\n\n"#
                + #"Which?\nA. x\nB. y\nAnswer:","choices":["A","B"],"answer":1}"#
        ),
        (
            "arc", "arc.jsonl",
            #"{"id":"1","question":{"stem":"Why?","choices":[{"text":"a","label":"1"},{"text":"é","label":"2"}]},"#
                + #""answerKey":"2"}"#,
            #"{"context":"Question: Why?\nAnswer:","choices":["a","é"],"answer":1}"#
        ),
        (
            "arc", "arc-copy.jsonl",
            #"{"question":"Why?","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"A"}"#,
            #"{"context":"Question: Why?\nAnswer:","choices":["a","b"],"answer":0}"#
        ),
        (
            "hellaswag", "h.jsonl",
            #"{"activity_label":"Kites","ctx_a":"He runs.","ctx_b":"the BOY","#
                + #""endings":["flies [step] it  up","a [title] b"],"label":"1"}"#,
            #"{"context":"Kites: He runs. The boy","choices":["flies it up","a. b"],"answer":1}"#
        ),
        (
            "piqa", "p.jsonl", #"{"goal":"Open it","sol1":"push","sol2":"pull","label":0}"#,
            #"{"context":"Question: Open it\nAnswer:","choices":["push","pull"],"answer":0}"#
        ),
        (
            "winogrande", "w.jsonl",
            #"{"sentence":"The hat fits the box, as the _ is big.","option1":"hat","option2":"box","answer":"2"}"#,
            #"{"context":["The hat fits the box, as the hat","The hat fits the box, as the box"],"#
                + #""choices":["is big.","is big."],"answer":1}"#
        ),
    ]

    @Test(.enabled(if: python != nil, "needs python3"), arguments: samples.indices)
    func aRowBecomesTheQuestionOfTheHarness(index: Int) throws {
        let sample = Self.samples[index]
        let run = try convert([sample.set, try file(sample.file, sample.text)])
        #expect(run.code == 0, "\(run.errors)")
        #expect(try JSON.parse(run.output) == (try JSON.parse(sample.line)))
        try Data(run.output.utf8).write(to: URL(fileURLWithPath: folder.at("choices.jsonl")))
        let eval = try ProgramRun.of(["eval", ModelFolder.fixture, "--choices", folder.at("choices.jsonl"), "--json"])
        #expect(try JSON.parse(eval.output)["choices"]?["items"]?.int == 1, "\(eval.errors)")
    }

    @Test(.enabled(if: python != nil, "needs python3"))
    func answeredQuestionsStandBeforeEachOne() throws {
        let dev = try file("art_dev.csv", "One?,a,b,A\nTwo?,c,d,B\nThree?,e,f,A\n")
        let test = try file("art_test.csv", "Four?,g,h,B\n")
        let run = try convert(["mmlu", test, "--shots", "2", "--shots-from", dev])
        let context = try JSON.parse(run.output)["context"]?.string
        #expect(
            context == "The following are multiple choice questions (with answers) about art.\n\n"
                + "One?\nA. a\nB. b\nAnswer: A\n\nTwo?\nA. c\nB. d\nAnswer: B\n\nFour?\nA. g\nB. h\nAnswer:")
        #expect(try convert(["mmlu", test, "--shots", "4", "--shots-from", dev]).code != 0)
    }

    @Test(.enabled(if: python != nil, "needs python3"))
    func labelsMayLieApart() throws {
        let rows = #"{"goal":"a","sol1":"b","sol2":"c"}"# + "\n" + #"{"goal":"d","sol1":"e","sol2":"f"}"# + "\n"
        let questions = try file("valid.jsonl", rows), labels = try file("valid-labels.lst", "1\n0\n")
        let run = try convert(["piqa", questions, "--labels", labels])
        let answers = try run.output.split(separator: "\n").map { try JSON.parse(String($0))["answer"]?.int }
        #expect(answers == [1, 0])
        let none = try convert(["piqa", questions])
        #expect(none.code != 0 && none.errors.contains("valid.jsonl: question 1") && none.errors.contains("label"))
        let other = try convert(["arc", questions])
        #expect(other.code != 0 && other.output.isEmpty && other.errors.contains("none of arc"))
    }

    /// The copies of the Hugging Face hub, lists and structures among their columns.
    @Test(.enabled(if: python != nil, "needs python3"))
    func parquetIsReadWherePyarrowIs() throws {
        let writer = """
            import pyarrow, pyarrow.parquet
            row = {"question": "Which?", "subject": "art", "choices": ["x", "y"], "answer": 1}
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row, row]), "\(folder.at("mmlu.parquet"))")
            row = {"question": "Why?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), "\(folder.at("arc.parquet"))")
            """
        let program = URL(fileURLWithPath: Self.python ?? "")
        let written = try ProgramRun.of(["-c", writer], program: program)
        guard written.code == 0 else {
            let run = try convert(["mmlu", try file("mmlu.parquet", "")])
            #expect(run.code != 0 && run.errors.contains("needs pyarrow"), "\(run.errors)")
            return
        }
        let mmlu = try convert(["mmlu", folder.at("mmlu.parquet")])
        let lines = try mmlu.output.split(separator: "\n").map { try JSON.parse(String($0)) }
        #expect(lines.count == 2 && lines.allSatisfy { $0["answer"]?.int == 1 }, "\(mmlu.errors)")
        #expect(lines[0]["context"]?.string?.hasSuffix("about art.\n\nWhich?\nA. x\nB. y\nAnswer:") == true)
        let arc = try JSON.parse(try convert(["arc", folder.at("arc.parquet")]).output)
        #expect(arc["choices"]?.array?.map(\.string) == ["a", "b"] && arc["answer"]?.int == 1)
        let broken = try convert(["arc", try file("broken.parquet", "no table")])
        #expect(broken.code != 0 && broken.errors.contains("broken.parquet: no parquet file"), "\(broken.errors)")
    }

    private func file(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.at(name)))
        return folder.at(name)
    }

    private func convert(_ words: [String]) throws -> ProgramRun {
        let script = ModelFolder.packageRoot.appendingPathComponent("Scripts/convert_choices.py").path
        return try ProgramRun.of([script] + words, program: URL(fileURLWithPath: Self.python ?? ""))
    }
}
