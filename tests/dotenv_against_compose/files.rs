//! Dotenv files written by hand, one for each rule and each surprise.

/// The files, as bytes.
#[rustfmt::skip]
pub(crate) const FILES: &[&[u8]] = &[
    // Nothing in it
    b"", b"\n", b"\r\n\r\n", b"   \t ", b"# comment", b"# comment\n", b"  # comment\n\n# another\n", b"\xEF\xBB\xBF", b"\xEF\xBB\xBF# c\n",
    b"\xE2\x80\x83\xC2\xA0\n",
    // Plain
    b"A=b", b"A=b\n", b"A=b\nC=d\n", b"A=", b"A=\n", b"A=\nB=2\n", b"A= \nB=2\n", b"A=hello world\n", b"A=  leading\n", b"A=trailing   \n",
    b"A=\ttab\t\n", b"  A=indented\n", b"\n\n\nA=b", b"A=b\r\nC=d\r\n", b"A=b\rC=d\n", b"A=b\r", b"A=\r\nB=c\r\n", b"A=a=b=c==\n", b"A==\n",
    b"A=:b\n", b"A=a:b\n", b"A =b\n", b"A = b\n", b"A\t=\tb\n", b"A=\xC2\xA0nbsp\xC2\xA0\n", b"A=\xE2\x80\x83em\xE2\x80\x83\n",
    b"A=\xC2\x85nel\xC2\x85\n", b"A=x\xE3\x80\x80\n", b"A=x\x0B\x0C\n", b"A=\x0B\x0Cx\n", b"A=%0A%25\n", b"A=`id`$(id);&|<>*?!~\n",
    b"A={\"json\": [1, true, null]}\n", b"A=-----BEGIN KEY-----\\nabc\\n\n",
    // Keys
    b"lower=1\n", b"a.b=1\n", b"a-b=1\n", b"1A=x\n", b"123=x\n", b"_=x\n", b".=x\n", b"-=x\n", b"A[0]=x\n", b"[]=x\n",
    b"\xC3\x89T\xC3\x89=x\n", b"\xE9\x94\xAE=x\n", b"A\tB=x\n", b"A\xC2\xA0B=x\n", b"A\xC2\xA0=x\n", b"A\xE2\x80\x83=x\n", b"A B=x\n", b"A  =x\n",
    b"A+B=x\n", b"A/B=x\n", b"A\"B=x\n", b"'A'=x\n", b"\"A\"=x\n", b"A$B=x\n", b"$A=x\n", b"A!=x\n", b"A,B=x\n", b"{\"A\":1}\n", b"A#B=x\n",
    b"A@B=x\n", b"\xFF=x\n", b"A\xFF=x\n", b"A\0B=x\n", b"\0", b"(A)=x\n", b"A*=x\n", b"A\\=x\n", b"\xF0\x9F\x94\x91=x\n", b"%A=x\n",
    b"\xEF\xBB\xBFA=b\n", b"\xEF\xBB\xBF\xEF\xBB\xBFA=b\n", b"\n\xEF\xBB\xBFA=b\n", b"A=b\n\xEF\xBB\xBFB=c\n", b"A=\xEF\xBB\xBFb\n",
    // No key
    b"=x\n", b" = x\nA=b\n", b":x\n", b"=\n", b"='x'\n", b"='x\n",
    // YAML's form
    b"A: b\n", b"A:b\n", b"A:  b  \n", b"A: 'b c'\n", b"A: \"b\\nc\"\n", b"A:\n", b"A: # c\n", b"A: b # c\n", b"A : b\n", b"A:=b\n", b"A=: b\n",
    // export
    b"export A=b\n", b"export  A=b\n", b"export\tA=b\n", b"  export A=b\n", b"export A = b\n", b"export A: b\n", b"export A='b'\n",
    b"export=b\n", b"export: b\n", b"export =b\n", b"exportA=b\n", b"EXPORT A=b\n", b"export export A=b\n", b"export\nA=b\n", b"export\n",
    b"export", b"export ", b"export \t", b"A=b\nexport \n", b"A=b\nexport ", b"export\x0BA=b\n", b"export\xC2\xA0A=b\n", b"export OUTER\n",
    b"export A B=c\n", b"export 'A'=b\n", b"export \xE2\x80\x83A=b\n", b"exports A=b\n",
    // Bare keys
    b"OUTER\n", b"OUTER\r\n", b"OUTER \n", b"\tOUTER\t\n", b"BLANK\n", b"NOT_SET\n", b"OUTER", b"NOT_SET", b"A=b\nNOT_SET\nC=d\n",
    b"A=b\nA\n", b"OUTER=inner\nOUTER\n", b"OUTER\nOUTER=inner\n", b"A B\n", b"A B", b"A\nB\nC=d\n", b"OUTER # c\n", b"OUTER#c\n", b"A\n=b\n",
    b"MIIEvQIBADANBgkqhkiG9w0\nA=b\n", b"A=x\nbGFzdCBsaW5l==\n",
    // Comments
    b"#A=b\nC=d\n", b"A=b # c\n", b"A=b #c\n", b"A=b#c\n", b"A=b\t# c\n", b"A=b\t #c\n", b"A=# c\n", b"A= # c\n", b"A=  # c # d\n", b"A=b ## c\n",
    b"A=b # c # d\n", b"A=#\n", b"A='b' # c\n", b"A='b'# c\n", b"A='b'#c\n", b"A=\"b\"# c\n", b"A='b # c'\n", b"A=\"b # c\" # d\n", b"# c \\\nA=b\n",
    b"A=b # '\nC=d\n", b"# '\nA=b\n# \"\n", b"A=b c # d\r\nE=f\r\n", b"#\r\nA=b\n", b"# c\rA=b\n", b"A=b\xC2\xA0#c\n", b"A=b \\# c\n",
    // Single quotes
    b"A='b'\n", b"A=''\n", b"A='b c'\n", b"A='  b  '\n", b"A='b\nc'\n", b"A='b\r\nc\r\n'\r\nD=e\n", b"A='\n\n'\n", b"A='b\"c'\n", b"A='b\\nc'\n",
    b"A='it\\'s'\n", b"A='b\\\\c'\n", b"A='b\\\\'\n", b"A='b\\\\\\'c'\n", b"A='b\\$c'\n", b"A='$OUTER'\n", b"A='${OUTER}'\n", b"A='p$w0rd'\n",
    b"A='$$'\n", b"A='${'\n", b"A='\\0101\\a'\n", b"A='\0'\n", b"A='\xFF'\n", b"A= 'b'\n", b"A=\t'b'\n", b"A=\xC2\xA0'b'\n",
    b"A='-----BEGIN PRIVATE KEY-----\nMIIE/+=\n-----END PRIVATE KEY-----\n'\n", b"A='{\n  \"k\": \"v\"\n}'\nB=c\n", b"A='#'\n", b"A='b", b"A='",
    b"A='b\nC=d\n", b"A='b\\'\n", b"A='b\\", b"A='it's'\n", b"A='it''s'\n", b"A='b\"\n",
    // Double quotes
    b"A=\"b\"\n", b"A=\"\"\n", b"A=\"  b  \"\n", b"A=\"b\nc\"\n", b"A=\"b\r\nc\"\n", b"A=\"b\\nc\"\n", b"A=\"\\a\\b\\f\\n\\r\\t\\v\"\n", b"A=\"\\c\\d\\e\\q\"\n",
    b"A=\"\\\\\"\n", b"A=\"\\\\n\"\n", b"A=\"\\\\\\n\"\n", b"A=\"\\\"\"\n", b"A=\"b\\\"c\\\"\"\n", b"A=\"it's\"\n", b"A=\"it\\'s\"\n", b"A=\"\\x41\\u0041\"\n",
    b"A=\"\\0\"\n", b"A=\"\\01\"\n", b"A=\"\\012\"\n", b"A=\"\\0101\"\n", b"A=\"\\01012\"\n", b"A=\"\\0377\"\n", b"A=\"\\0400\"\n", b"A=\"\\0777\"\n",
    b"A=\"\\0000\"\n", b"A=\"\\0089\"\n", b"A=\"\\0108\"\n", b"A=\"\\101\"\n", b"A=\"\\0012x\"\n", b"A=\"\\\nb\"\n", b"A=\"b\\\n\"\n", b"A=\"\\\xC3\xA9\"\n",
    b"A=\"\0\"\n", b"A=\"\xFF\xFE\"\n", b"A=\"\xC3\xA9\xF0\x9F\x94\x91\"\n", b"A=\"{\\\"k\\\": \\\"v\\\"}\"\n", b"A=\"b", b"A=\"", b"A=\"b\\\"\n", b"A=\"b\\\"",
    b"A=\"b\nC=d\n", b"A=\"b'\n", b"A=\"b\\",
    // Behind a quote
    b"A=\"x\"y\n", b"A=\"x\"y", b"A=\"x\" y\n", b"A='x'y=z\n", b"A='x'B=y\n", b"A='x' B='y' C=z\n", b"A=''''\n", b"A=\"\"\"\"\n", b"A='x'\"y\"\n",
    b"A='x'=y\n", b"A='x':y\n", b"A='x'OUTER\n", b"A='x';\n", b"A='x'  \nB=y\n", b"A='x'\xC2\xA0\nB=y\n", b"A=x'y'\n", b"A=x\"y z\"\n", b"A=x 'y\n",
    // Unquoted backslashes
    b"A=a\\nb\n", b"A=\\\n", b"A=a\\\nB=c\n", b"A=\\\\\n", b"A=\\'\n", b"A=\\\"b\n", b"A=\\0101\n", b"A=C:\\dir\\new\n",
    // Keys that come twice
    b"A=1\nA=2\n", b"A=1\nB=x\nA='2'\n", b"A='$1'\nA=\n", b"A=1\na=2\n", b"A=1\nA=${A}2\n", b"A=1\nA='$A'\n",
    // Dollars
    b"A=$\n", b"A=$$\n", b"A=$$$\n", b"A=$$$$\n", b"A=a$\n", b"A=$ b\n", b"A=$1\n", b"A=$-\n", b"A=$'x'\n", b"A=a$%b\n", b"A=$(x)\n", b"A=p$w0rd\n",
    b"A=$OUTER\n", b"A=$OUTER$OUTER\n", b"A=x$OUTER.y\n", b"A=$OUTERx\n", b"A=$BLANK\n", b"A=$NOT_SET\n", b"A=$DOLLARS\n", b"A=${OUTER}\n",
    b"A=${OUTER}x}\n", b"A=${NOT_SET}\n", b"A=$$OUTER\n", b"A=$$$OUTER\n", b"A=$${OUTER}\n", b"A=\\$OUTER\n", b"A=\\$$OUTER\n", b"A=$_\n",
    b"A=\"$OUTER\"\n", b"A=\"\\$OUTER\"\n", b"A=\"\\$\"\n", b"A=\"\\$\\$\"\n", b"A=\"$\\$\"\n", b"A=\"\\$$\"\n", b"A=\"$\\$OUTER\"\n", b"A=\"\\$$OUTER\"\n",
    b"A=\"\\\\$OUTER\"\n", b"A=\"\\\\\\$OUTER\"\n", b"A=\"\\0044OUTER\"\n", b"A=\"\\0044$\"\n", b"A=\"$$\"\n", b"A=\"\\$$\\$$\"\n", b"A=\"\\${OUTER}\"\n",
    b"A=\"${OUTER\\n}\"\n", b"A=\"$OUTER\\\"\"\n", b"A=\"a\n$OUTER\n\"\n", b"A=$OUT\xC5\xBF\xE2\x84\xAA x\n",
    b"A=${OUTER:-d}\n", b"A=${OUTER-d}\n", b"A=${BLANK:-d}\n", b"A=${BLANK-d}\n", b"A=${NOT_SET:-d}\n", b"A=${NOT_SET-d}\n", b"A=${NOT_SET:-}\n",
    b"A=${NOT_SET-}\n", b"A=${OUTER:+d}\n", b"A=${OUTER+d}\n", b"A=${BLANK:+d}\n", b"A=${BLANK+d}\n", b"A=${NOT_SET:+d}\n", b"A=${NOT_SET+d}\n",
    b"A=${OUTER:?e}\n", b"A=${OUTER?e}\n", b"A=${BLANK?e}\n", b"A=${BLANK:?e}\n", b"A=${NOT_SET:?e}\n", b"A=${NOT_SET?e}\n", b"A=${NOT_SET?}\n",
    b"A=${NOT_SET:-${OUTER}}\n", b"A=${NOT_SET:-${NOT_SET:-${OUTER}}}\n", b"A=${NOT_SET:-$OUTER}\n", b"A=${NOT_SET:-a${OUTER}b}c${OUTER}\n",
    b"A=${NOT_SET:-a}${NOT_SET:-b}${OUTER}}\n", b"A=${NOT_SET:-{}}\n", b"A=${NOT_SET:-{}} x }\n", b"A=${NOT_SET:-{a}}}\n", b"A=${NOT_SET:-{{a}}\n",
    b"A=${NOT_SET:-}}}\n", b"A=${NOT_SET:-a:-b}\n", b"A=${NOT_SET-a:?b}\n", b"A=${NOT_SET:-a?b+c-d}\n", b"A=${OUTER:+a-b}\n", b"A=${NOT_SET:-$$}\n",
    b"A=${NOT_SET:-a b # c}\n", b"A='${NOT_SET:-a b # c}'\n", b"A=\"${NOT_SET:-a b # c}\"\n", b"A=\"${NOT_SET:-a\nb}\"\n", b"A=\"${NOT_SET:-\\\"q\\\"}\"\n",
    b"A=\"x ${NOT_SET:-a}\ny ${NOT_SET:-b} }\nz\"\n", b"A=${NOT_SET:-'q'}\n", b"A=${NOT_SET:-\xFF}\n", b"A=${OUTER:-x}${\n",
    b"A=${\n", b"A=${}\n", b"A=${1}\n", b"A=${ OUTER}\n", b"A=${OUTER }\n", b"A=${OUTER\n", b"A=${OUTER:-d\n", b"A=${OUTER:d}\n", b"A=${OUTER!}\n",
    b"A=${OUTER:}\n", b"A=${A.B}\n", b"A=a${b\nC=d\n", b"A=\"${\"\n", b"A=$${\n", b"A=$$${\n", b"A=${OUTER}${\n", b"A=${a-b\n", b"A=${_-x}\n",
    b"A=1\nB=$A\nC=${B}2\n", b"B=$A\nA=1\n", b"OUTER=inner\nA=$OUTER\n", b"A='$OUTER'\nB=$A\n", b"A.B=1\nC=$A.B\n", b"A=1\nA=2\nB=$A\n", b"NOT_SET=x\nA=${NOT_SET:?e}\n",
    // Bytes
    b"A=\0\n", b"A=a\0b\n", b"A=\xFF\xFE\n", b"A=a\x80b\n", b"A=\xC3\n", b"A=\xE2\x80\n", b"A=x\x80\n", b"A=x\xA0\n", b"A=x\x85\n", b"A=\xA0x\n", b"A=\xED\xA0\x80\n",
    b"A=\x1B[31m\x07\x7F\n", b"A=\xC3\xA9\xE9\x94\xAE\xF0\x9F\x94\x91\n", b"A=b\n\x80", b"\x80\n", b"\x1A", b"A=b\n\x1A\n",
];
